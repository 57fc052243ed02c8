/**
 * `sudo npm run bench:stops -- [--rounds N] [--rate N]`: the lab's primary goes in order, N times (default 5) each by `systemctl stop`, by a
 * reboot and by Linode's shutdown, under 500 requests/s through the load balancer. A line a stop, then a table and out/bench-stops.json.
 * A lab that is up is used, and stays. Exits with 1 when a goal is missed.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
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

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, rate: { type: 'string', default: '500' } },
});
process.exitCode = isInside ? await bench() : await outside();

async function outside(): Promise<number> {
  const wasUp = regionPid() !== undefined;
  try {
    if (!wasUp) await runAll('up', { keep: true, verbose: false, from: clone, repeat: '', against: '' });
    return await runScriptInside(fileURLToPath(import.meta.url), process.argv.slice(2));
  } finally {
    if (!wasUp) await down();
  }
}

async function bench(): Promise<number> {
  const startedAt = new Date().toISOString();
  const stops: Stop[] = [];
  const rate = countOf('--rate', values.rate, 10_000);
  for (let left = countOf('--rounds', values.rounds, 1000); left > 0; left--)
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
