import { FiredrillError } from '../core/errors.ts';
import type { Ssh } from '../core/ssh.ts';

/** Where the node exporter of monitor-1 finds it. */
const path = '/var/lib/prometheus/node-exporter/firedrill.prom';

/** What the alerts DrillOverdue, DrillNeverRan and DrillFailed go by. Pure. */
export function drillMetrics(finishedAtMs: number, ok: boolean): string {
  return `firedrill_drill_finished_timestamp_seconds ${(finishedAtMs / 1000).toFixed(3)}\nfiredrill_drill_ok ${ok ? 1 : 0}\n`;
}

/** Leaves the drill's result on a monitor node. Throws a FiredrillError (`remote`) when it can't be written. */
export async function markDrill(ssh: Pick<Ssh, 'node' | 'exec'>, finishedAtMs: number, ok: boolean): Promise<void> {
  // Whole or not at all: the exporter may read it at any moment.
  const command = `sudo -n sh -c 'umask 022 && cat >${path}.new && mv -f ${path}.new ${path}'`;
  const { code, stderr } = await ssh.exec(command, { stdin: drillMetrics(finishedAtMs, ok), timeoutMs: 10_000 });
  if (code === 0) return;
  const what = `the drill's result could not be left for the alerts: ${stderr.trim() || `exit code ${code}`}`;
  throw new FiredrillError({
    code: 'remote',
    node: ssh.node,
    what,
    fix: 'Roll out: the node exporter brings the folder',
  });
}
