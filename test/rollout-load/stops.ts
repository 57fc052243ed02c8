import { fileURLToPath } from 'node:url';
import { runCommand } from '../bench/command.ts';
import { countOf } from '../bench/options.ts';
import { rowOf, type ShownRow, tableOf, writeReport } from '../bench/report.ts';
import { median } from '../bench/statistics.ts';
import { down, runAll } from '../lab/commands/all.ts';
import { isInside, runScriptInside } from '../lab/commands/inside.ts';
import { clone, outDir } from '../lab/paths.ts';
import { regionPid } from '../lab/region-client.ts';
import { sourceCommit } from '../lab/source.ts';
import { budgeted } from './report.ts';
import { runStop, type Stop, ways } from './stop.ts';

/** The longest that a client may wait for any answer (ms). */
const stallGoalMs = 500;

const usage = `npm run bench:stops              the lab's primary goes in order, by systemctl stop, by a reboot and by Linode's shutdown, under load
                                 through the load balancer: a line a stop, a table, out/bench-stops.json

--rounds N                       of each (default 5)
--rate N                         requests a second (default 500)

A lab that is up is used, and stays; else one is brought up (root) and removed. Ends with 1 when a goal is missed.`;

await runCommand(
  usage,
  { rounds: { type: 'string', default: '5' }, rate: { type: 'string', default: '500' } },
  ({ rounds, rate }) => {
    const [count, requestsPerS] = [countOf('--rounds', rounds, 1000), countOf('--rate', rate, 10_000)];
    return isInside ? bench(count, requestsPerS) : outside();
  },
);

async function outside(): Promise<number> {
  const wasUp = regionPid() !== undefined;
  try {
    if (!wasUp) await runAll('up', { keep: true, verbose: false, from: clone, repeat: '', against: '' });
    return await runScriptInside(fileURLToPath(import.meta.url), process.argv.slice(2));
  } finally {
    if (!wasUp) await down();
  }
}

async function bench(rounds: number, rate: number): Promise<number> {
  const startedAt = new Date().toISOString();
  const stops: Stop[] = [];
  for (let left = rounds; left > 0; left--)
    for (const way of ways) {
      const stop = await runStop(way, rate);
      stops.push(stop);
      console.log(lineOf(stop));
    }
  const rows = rowsOf(stops);
  console.log(`\n${tableOf(rows)}`);
  writeReport(`${outDir}/bench-stops.json`, { name: 'stops', commit: sourceCommit(clone).sha, startedAt, rows });
  return rows.some((row) => row.met === false) ? 1 : 0;
}

function lineOf({ way, requests, failed, failures, acknowledged, wrong, longestMs, lagMs }: Stop): string {
  const why = failures.length === 0 ? '' : ` (${failures.slice(0, 4).join(', ')})`;
  return `${way}: ${failed} of ${requests} requests failed${why}; ${wrong} of ${acknowledged} acknowledged writes lost or wrong; longest wait ${longestMs} ms; the probe itself late by ${lagMs} ms at most`;
}

function rowsOf(stops: readonly Stop[]): ShownRow[] {
  return ways.flatMap((way) => {
    const own = stops.filter((stop) => stop.way === way);
    const sum = (of: 'requests' | 'failed' | 'acknowledged' | 'wrong') => own.reduce((all, stop) => all + stop[of], 0);
    const longest = own.map((stop) => stop.longestMs);
    return [
      rowOf({ metric: `${way}: requests in ${own.length} stops`, unit: 'count', ours: sum('requests') }),
      budgeted(`${way}: failed requests`, 'count', sum('failed'), 0),
      rowOf({ metric: `${way}: acknowledged writes`, unit: 'count', ours: sum('acknowledged') }),
      budgeted(`${way}: lost or wrong`, 'count', sum('wrong'), 0),
      rowOf({ metric: `${way}: longest wait, median`, unit: 'ms', ours: median(longest) }),
      budgeted(`${way}: longest wait`, 'ms', Math.max(...longest), stallGoalMs),
    ];
  });
}
