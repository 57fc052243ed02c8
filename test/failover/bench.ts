/**
 * `npm run bench:failover -- [--rounds N] [--faults a,b] [--rate N] [--durability async|replicated|fsynced] [--sources DIR]
 * [--logs DIR]`:
 * every fault N times (default 20) under 500 requests/s on loopback, a line a round, then a table and out/bench-failover.json.
 * Exits with 1 when a goal is missed.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { tableOf, writeReport } from '../bench/report.ts';
import { ensureBuildRoot } from '../lab/machines/build-root.ts';
import { cacheDir, clone, outDir } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';
import { type FaultName, faults, isFault } from './faults.ts';
import type { Plan } from './main.ts';
import { roundLine, rowsOf } from './report.ts';
import { runRounds } from './rounds.ts';
import type { Durability } from './settings.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    faults: { type: 'string', default: Object.keys(faults).join(',') },
    rate: { type: 'string', default: '500' },
    durability: { type: 'string', default: 'replicated' },
    sanitized: { type: 'boolean', default: false },
    sources: { type: 'string', default: `${clone}/c-app` },
    root: { type: 'string' },
    logs: { type: 'string' },
  },
});
const plan: Plan = {
  faults: values.faults.split(',').map((name): FaultName => {
    if (isFault(name)) return name;
    throw new Error(`no fault ${name}; there are: ${Object.keys(faults).join(', ')}`);
  }),
  rounds: count(values.rounds),
  requestsPerS: count(values.rate),
  durability: values.durability as Durability,
  sanitized: values.sanitized,
  ...(values.logs === undefined ? {} : { logs: values.logs }),
};
const root = values.root ?? (await ensureBuildRoot(cacheDir, packagesOf(clone), console.log));
const startedAt = new Date().toISOString();
const rounds = await runRounds(root, values.sources, plan, (round, number) => {
  console.log(roundLine(number, round));
  for (const proof of round.proofs.slice(0, 5)) console.log(`    ${proof}`);
});
const rows = rowsOf(rounds, plan.durability !== 'async');
const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: clone, encoding: 'utf8' }).trim();
writeReport(`${outDir}/bench-failover.json`, { name: 'failover', commit, startedAt, rows });
console.log(`\n${tableOf(rows)}`);
process.exitCode = rows.some((row) => row.met === false) ? 1 : 0;

function count(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) throw new Error(`${text} is not a number of at least 1`);
  return number;
}
