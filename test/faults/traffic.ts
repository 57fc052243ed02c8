import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { request } from '../fleet/lab-command.ts';
import { region } from '../lab/paths.ts';

export interface TrafficReport {
  readonly requests: number;
  /** Answers that were none, or 5xx. */
  readonly failed: number;
  readonly acknowledged: number;
  /** Acknowledged writes that can't be read back. */
  readonly lost: readonly string[];
}

// One write after the other, each to a key of its own; a line `KEY STATUS` each. The write that is under way when it ends is not counted.
const loop = `
  i=0
  while :; do
    i=$((i + 1))
    status=$(curl --silent --max-time 5 --output /dev/null --write-out '%{http_code}' --request PUT --data "v$i" "$1$i")
    echo "$1$i $status"
  done`;

/** Writes through the load balancer until `end`, which reads everything back that was acknowledged. */
export function startTraffic(sessionsUrl: string): { end(): TrafficReport } {
  const prefix = `${sessionsUrl}/t${process.pid}-${Date.now()}-`;
  const args = [`--net=/run/netns/${region.namespace}`, 'sh', '-c', loop, 'sh', prefix];
  const child = spawn('nsenter', args, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const answers: [url: string, status: number][] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [url = '', status] = line.split(' ');
    answers.push([url, Number(status)]);
  });
  return {
    end() {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      const acknowledged = answers.filter(([, status]) => status === 204);
      const lost = acknowledged.filter(([url]) => request(url).body !== `v${url.slice(prefix.length)}`);
      return {
        requests: answers.length,
        failed: answers.filter(([, status]) => status === 0 || status >= 500).length,
        acknowledged: acknowledged.length,
        lost: lost.map(([url]) => url),
      };
    },
  };
}
