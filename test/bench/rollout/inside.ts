/** What of the benchmark runs in the lab's network: ROUNDS PARTS FILE; its measurements go to FILE. rollout.ts starts it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf } from '../../../actions/core/errors.ts';
import { labFleet } from '../../lab/inventory.ts';
import { disconnect } from './ansible.ts';
import { compare, projectFolder } from './compare.ts';
import type { Measured } from './measured.ts';
import { recordFacts } from './record.ts';
import { measureTrips } from './trips.ts';

const [rounds, parts = '', file = ''] = process.argv.slice(2);
// Short, for the sockets in it, and only for its owner, since releases hold passwords.
const scratch = mkdtempSync(join(tmpdir(), 'firedrill-bench-'));
// Whoever ends the benchmark, also by killing what started it, leaves no connection of Ansible's and no password behind.
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => {
    disconnect({ folder: projectFolder(scratch) });
    rmSync(scratch, { recursive: true, force: true });
    process.exit(1);
  });
const log = (line: string) => console.log(line);
try {
  const fleet = await labFleet();
  const wanted = parts.split(',');
  const measured: Measured = {};
  if (wanted.includes('hosts')) measured.facts = await recordFacts(fleet);
  if (wanted.includes('trips')) {
    log('round trips: a rollout to every node, near and far');
    measured.trips = await measureTrips(scratch, log);
  }
  if (wanted.includes('ansible')) {
    log('ours and Ansible, in turns');
    measured.pairs = await compare(fleet, scratch, Number(rounds), log);
  }
  writeFileSync(file, JSON.stringify(measured), { mode: 0o600 });
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
