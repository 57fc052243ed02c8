import { FiredrillError } from './errors.ts';
import type { Ssh } from './ssh.ts';

/**
 * How often HAProxy sends a request again: the turns that it takes while the service holds it for want of a primary, and 12 beside, which
 * outlast a restart in place of all servers (0.3 s when systemd's watchdog ends them together; a refused one is tried again after 75 ms at most).
 */
export function retriesOf(holdMs: number, responseTimeoutMs: number): number {
  return Math.ceil(holdMs / responseTimeoutMs) + 12;
}

/** HAProxy's opinion of one server of a backend. */
export interface HaproxyServer {
  readonly backend: string;
  readonly server: string;
  /** `UP`, `DOWN`, `MAINT`, `DRAIN`, `UP 1/2` (going down), `DOWN 1/2` (going up) ... */
  readonly status: string;
  /** The last check: `L4CON`, `L7OK` ...; empty when there are no checks. */
  readonly check: string;
  readonly sessions: number;
  readonly queue: number;
}

/** The servers of all backends, from the stats socket of that load balancer. Throws a FiredrillError that names the node. */
export async function readHaproxy(
  ssh: Pick<Ssh, 'node' | 'exec'>,
  timeoutMs: number,
  socket: '/run/haproxy/admin.sock' = '/run/haproxy/admin.sock',
): Promise<HaproxyServer[]> {
  const command = `sudo -n socat -t 5 - UNIX-CONNECT:${socket}`;
  const result = await ssh.exec(command, { stdin: 'show stat\n', timeoutMs });
  if (result.code !== 0 || !result.stdout.startsWith('# '))
    throw new FiredrillError({
      code: 'remote',
      node: ssh.node,
      where: socket,
      what: `HAProxy's statistics can't be read: ${(result.stderr || result.stdout).trim().slice(0, 200)}`,
      fix: 'Check that haproxy runs there and that socat is installed',
    });
  return parseHaproxyStat(result.stdout);
}

/** `show stat`'s CSV as servers, without the FRONTEND and BACKEND sums and the backup servers, which nobody checks. Pure. */
export function parseHaproxyStat(csv: string): HaproxyServer[] {
  const [head = '', ...lines] = csv.split('\n').filter((line) => line !== '');
  const columns = head.replace(/^# /, '').split(',');
  return lines.flatMap((line) => {
    const cells = line.split(','); // the columns that may hold quoted commas come after those we read
    const cell = (name: string) => cells[columns.indexOf(name)] ?? '';
    if (cell('svname') === 'FRONTEND' || cell('svname') === 'BACKEND' || cell('bck') === '1') return [];
    return [
      {
        backend: cell('pxname'),
        server: cell('svname'),
        status: cell('status'),
        check: cell('check_status'),
        sessions: Number(cell('scur') || 0),
        queue: Number(cell('qcur') || 0),
      },
    ];
  });
}
