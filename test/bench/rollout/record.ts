import { sshTarget } from '../../../actions/core/inventory.ts';
import { connectSsh, type Ssh } from '../../../actions/core/ssh.ts';
import { readFacts } from '../../../actions/rollout/fleet.ts';
import type { LabFleet } from '../../lab/inventory.ts';
import { clone } from '../../lab/paths.ts';
import { releasesOf } from './fleet.ts';
import type { Recorded } from './measured.ts';

/** No release has it: a node that is asked for it tells of all that it has, as before any change. */
const noDigest = '0'.repeat(64);

/** Asks each node of the lab what it has, as a plan does, and keeps the answers as they came. */
export async function recordFacts(fleet: LabFleet): Promise<Recorded> {
  const recorded: Record<string, string> = {};
  for (const release of releasesOf(clone)) {
    const node = fleet.environment.nodes.find((each) => each.name === release.node);
    const machine = fleet.inventory.nodes.find((each) => each.name === release.node);
    if (node === undefined || machine === undefined) continue;
    const ssh = await connectSsh(sshTarget(fleet.environment, machine, fleet.deployKey));
    try {
      const listening: Ssh = {
        ...ssh,
        exec: async (command, options) => {
          const result = await ssh.exec(command, options);
          recorded[node.name] = result.stdout;
          return result;
        },
      };
      await readFacts(fleet.environment, { node, ssh: listening, again: async () => ssh }, release, noDigest);
    } finally {
      ssh.close();
    }
  }
  return recorded;
}
