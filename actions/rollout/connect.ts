import { mapAtMost } from '../core/at-most.ts';
import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Inventory, sshTarget } from '../core/inventory.ts';
import { keptSsh } from '../core/kept-ssh.ts';
import type { Secret } from '../core/secret.ts';
import type { Ssh, SshTarget } from '../core/ssh.ts';
import type { Fleet, Member } from './fleet.ts';

/** What could be reached of the fleet, and why the rest could not. */
export interface Reach {
  readonly fleet: Fleet;
  readonly failures: readonly FiredrillError[];
}

/** Key exchanges are work for this process: with all of a big fleet's at once the last would overrun their deadlines. */
const atOnce = 50;

/** Connects to all nodes; with `changes` for a run that may change them, and so has many commands for them. The caller closes the connections of `fleet`. */
export async function connectFleet(
  environment: Environment,
  inventory: Inventory,
  deployKey: Secret,
  connect: (target: SshTarget) => Promise<Ssh>,
  changes: boolean,
): Promise<Reach> {
  const failures: FiredrillError[] = [];
  const members = await mapAtMost(atOnce, environment.nodes, async (node): Promise<[string, Member][]> => {
    try {
      const machine = inventory.nodes.find((each) => each.name === node.name);
      if (machine === undefined)
        throw new FiredrillError({ code: 'config', node: node.name, what: 'no machine', fix: 'Run provision first' });
      const target = sshTarget(environment, machine, deployKey);
      const again = () => connect({ ...target, waitingShell: 'at once' });
      const link = () => connect({ ...target, ...(changes ? { waitingShell: 'after a command' } : {}) });
      // One that dies while a gate looks is made anew; what was under way on it has failed.
      return [[node.name, { node, ssh: keptSsh(node.name, link, await link()), again }]];
    } catch (error) {
      failures.push(
        error instanceof FiredrillError
          ? error
          : new FiredrillError({ code: 'remote', node: node.name, what: messageOf(error) }),
      );
      return [];
    }
  });
  return { fleet: new Map(members.flat()), failures };
}

/** Throws when a node was not reached: a rollout that leaves some out would leave the fleet mixed. */
export function mustReachAll(reach: Reach): Fleet {
  const [first] = reach.failures;
  if (first === undefined) return reach.fleet;
  if (reach.failures.length === 1) throw first;
  const lines = reach.failures.map((failure) => `  ${failure.message}`).join('\n');
  throw new FiredrillError({
    code: first.code,
    what: `${reach.failures.length} nodes can't be reached, nothing was changed\n${lines}`,
    fix: 'Run again when they answer; provision brings up what is missing or switched off',
    cause: first,
  });
}

export function closeFleet(fleet: Fleet): void {
  for (const member of fleet.values()) member.ssh.close();
}
