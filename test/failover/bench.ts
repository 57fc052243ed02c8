import { FiredrillError } from '../../actions/core/errors.ts';
import { runCommand } from '../bench/command.ts';
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

const usage = `npm run bench:failover           every fault under load on loopback: a line a round, a table, out/bench-failover.json

--rounds N                       of each fault (default 20)
--faults NAME,NAME               only these: ${Object.keys(faults).join(', ')}
--rate N                         requests a second (default 500)
--durability async|replicated|fsynced
--sanitized                      the service with the sanitizers; its times are no figures then
--sources DIR                    measures the service of this folder instead of c-app
--root DIR                       a Debian 13 root that has what it needs, instead of one of our own
--logs DIR                       keeps the logs of each round there

Ends with 1 when a goal is missed.`;

await runCommand(
  usage,
  {
    rounds: { type: 'string', default: '20' },
    faults: { type: 'string', default: Object.keys(faults).join(',') },
    rate: { type: 'string', default: '500' },
    durability: { type: 'string', default: 'replicated' },
    sanitized: { type: 'boolean', default: false },
    sources: { type: 'string', default: `${clone}/c-app` },
    root: { type: 'string' },
    logs: { type: 'string' },
  },
  ({ rounds, faults: names, rate, durability, sanitized, sources, root, logs }) => {
    const plan: Plan = {
      faults: names.split(',').map(faultOf),
      rounds: countOf('--rounds', rounds, 1000),
      requestsPerS: countOf('--rate', rate, 10_000),
      durability: durabilityOf(durability),
      sanitized,
      ...(logs === undefined ? {} : { logs }),
    };
    return bench(plan, sources, root);
  },
);

async function bench(plan: Plan, sources: string, givenRoot: string | undefined): Promise<number> {
  if (givenRoot === undefined) await ensureReady(lab, console.log);
  const root = givenRoot ?? (await ensureBuildRoot(cacheDir, packagesOf(clone), console.log));
  const commit = sourceCommit(clone).sha;
  const startedAt = new Date().toISOString();
  const rounds = await runRounds(root, sources, plan, (round, number) => {
    console.log(roundLine(number, round));
    for (const proof of round.proofs.slice(0, 5)) console.log(`    ${proof}`);
  });
  const rows = rowsOf(rounds, plan.durability !== 'async');
  writeReport(`${outDir}/bench-failover.json`, { name: 'failover', commit, startedAt, rows });
  console.log(`\n${tableOf(rows)}`);
  return rows.some((row) => row.met === false) ? 1 : 0;
}

function faultOf(name: string): FaultName {
  if (isFault(name)) return name;
  const fix = `Use some of ${Object.keys(faults).join()}`;
  throw new FiredrillError({ code: 'config', what: `no fault ${name}`, fix });
}

function durabilityOf(text: string): Durability {
  const found = durabilities.find((each) => each === text);
  if (found !== undefined) return found;
  const fix = `Use one of ${durabilities.join(', ')}`;
  throw new FiredrillError({ code: 'config', what: `--durability is "${text}"`, fix });
}
