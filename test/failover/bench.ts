/**
 * `npm run bench:failover -- [--rounds N] [--faults a,b] [--rate N] [--durability async|replicated|fsynced] [--sources DIR]
 * [--logs DIR]`:
 * every fault N times (default 20) under 500 requests/s on loopback, a line a round, then a table and out/bench-failover.json.
 * Exits with 1 when a goal is missed.
 */
import { parseArgs } from 'node:util';
import { FiredrillError } from '../../actions/core/errors.ts';
import { countOf } from '../bench/options.ts';
import { tableOf, writeReport } from '../bench/report.ts';
import { ensureBuildRoot } from '../lab/machines/build-root.ts';
import { ensureReady } from '../lab/machines/preflight.ts';
import { cacheDir, clone, lab, outDir } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';
import { sourceCommit } from '../lab/source.ts';
import { type FaultName, faults, isFault } from './faults.ts';
import type { Plan } from './main.ts';
import { roundLine, rowsOf } from './report.ts';
import { runRounds } from './rounds.ts';
import { type Durability, durabilities } from './settings.ts';

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
  rounds: countOf('--rounds', values.rounds, 1000),
  requestsPerS: countOf('--rate', values.rate, 10_000),
  durability: durabilityOf(values.durability),
  sanitized: values.sanitized,
  ...(values.logs === undefined ? {} : { logs: values.logs }),
};
if (values.root === undefined) await ensureReady(lab, console.log);
const root = values.root ?? (await ensureBuildRoot(cacheDir, packagesOf(clone), console.log));
const commit = sourceCommit(clone).sha;
const startedAt = new Date().toISOString();
const rounds = await runRounds(root, values.sources, plan, (round, number) => {
  console.log(roundLine(number, round));
  for (const proof of round.proofs.slice(0, 5)) console.log(`    ${proof}`);
});
const rows = rowsOf(rounds, plan.durability !== 'async');
writeReport(`${outDir}/bench-failover.json`, { name: 'failover', commit, startedAt, rows });
console.log(`\n${tableOf(rows)}`);
process.exitCode = rows.some((row) => row.met === false) ? 1 : 0;

function durabilityOf(text: string): Durability {
  const found = durabilities.find((each) => each === text);
  if (found !== undefined) return found;
  const fix = `Use one of ${durabilities.join(', ')}`;
  throw new FiredrillError({ code: 'config', what: `--durability is "${text}"`, fix });
}
