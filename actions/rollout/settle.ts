import { FiredrillError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeFacts } from './facts.ts';
import type { Fleet } from './fleet.ts';

/**
 * Nodes on which a run that died left a release that nobody confirmed go back at once, rather than in the middle of what comes next.
 * Gives whether there were any. Throws a FiredrillError (`remote`) when one does not.
 */
export async function settlePending(fleet: Fleet, facts: ReadonlyMap<string, NodeFacts>, log: Log): Promise<boolean> {
  const left = [...facts.values()].flatMap(({ node, pending, lease }) => {
    const member = fleet.get(node);
    // Whoever holds the node may be about to confirm.
    return pending === undefined || lease !== undefined || member === undefined ? [] : [{ member, pending }];
  });
  // One after the other: none of them was proved dispensable.
  for (const { member, pending } of left) {
    const node = member.node.name;
    log.info(
      `${node}: run ${pending.run} left release ${pending.to.slice(0, 12)} unconfirmed; the node goes back first`,
    );
    const command = 'sudo -n sh /var/lib/firedrill/node/revert.sh settle';
    const { code, stdout, stderr } = await member.ssh.exec(command, { timeoutMs: 180_000 });
    if (code !== 0)
      throw new FiredrillError({
        code: 'remote',
        node,
        phase: 'settle',
        what: `an unconfirmed release can't be taken back: ${stdout}${stderr}`.trim(),
        fix: 'Its dead-man goes on trying; look at `journalctl -u firedrill-revert` there',
      });
  }
  return left.length > 0;
}
