import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../bench/command.ts';
import { countOf } from '../bench/options.ts';
import { tableOf, writeReport } from '../bench/report.ts';
import { down } from '../lab/commands/all.ts';
import { isInside, runScriptInside } from '../lab/commands/inside.ts';
import { clone, outDir } from '../lab/paths.ts';
import { binaryPath, deploy, mustSucceed } from '../lab/pipeline.ts';
import { prepare } from '../lab/prepare.ts';
import { regionPid, startRegion } from '../lab/region-client.ts';
import { sourceCommit } from '../lab/source.ts';
import type { Round } from './measure.ts';
import { roundLine, rowsOf } from './report.ts';
import { runRound } from './round.ts';

const file = `${outDir}/bench-rollout-load.json`;
const usage = `npm run bench:rollout-load       rollouts that each restart every service of the lab, under load through the load balancer: a line a
                                 round, a table, out/bench-rollout-load.json

--rounds N                       rollouts (default 10)
--rate N                         requests a second (default 500)
--more                           adds to the rounds of the last run of this commit
--verbose                        also prints what the rollouts print

A lab that is up is used, and stays; else one is brought up (root) and removed. Ends with 1 when a goal is missed.`;

await runCommand(
  usage,
  {
    rounds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '500' },
    more: { type: 'boolean', default: false },
    verbose: { type: 'boolean', default: false },
  },
  ({ rounds, rate, more, verbose }) => {
    const [count, requestsPerS] = [countOf('--rounds', rounds, 1000), countOf('--rate', rate, 10_000)];
    return isInside ? bench(count, requestsPerS, more, verbose) : outside();
  },
);

async function outside(): Promise<number> {
  const wasUp = regionPid() !== undefined;
  if (!wasUp) await prepare();
  const region = wasUp ? undefined : await startRegion();
  try {
    return await runScriptInside(fileURLToPath(import.meta.url), process.argv.slice(2));
  } finally {
    if (region !== undefined) await down();
  }
}

async function bench(count: number, requestsPerS: number, more: boolean, verbose: boolean): Promise<number> {
  if (!existsSync(binaryPath)) mustSucceed(await deploy({ verbose, from: clone, repeat: '', against: '' }));
  const commit = sourceCommit(clone).sha;
  const before = more ? earlier(commit) : undefined;
  const startedAt = before?.startedAt ?? new Date().toISOString();
  const rounds = [...(before?.rounds ?? [])];
  const onLine = verbose ? (line: string) => console.log(`    ${line}`) : () => {};
  for (let left = count; left > 0; left--) {
    const round = await runRound({ requestsPerS, onLine });
    rounds.push(round);
    console.log(roundLine(rounds.length, round));
    for (const each of [...round.failures, ...round.proofs].slice(0, 8)) console.log(`      ${each}`);
    // After each round: a run that is ended has what it measured.
    writeReport(file, { name: 'rollout-load', commit, startedAt, rows: rowsOf(rounds) });
    writeFileSync(file, `${JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), rounds }, null, 2)}\n`);
  }
  const rows = rowsOf(rounds);
  console.log(`\n${tableOf(rows)}`);
  return rows.some((row) => row.met === false) ? 1 : 0;
}

function earlier(commit: string): { startedAt: string; rounds: Round[] } | undefined {
  if (!existsSync(file)) return undefined;
  const report = JSON.parse(readFileSync(file, 'utf8'));
  return report.commit === commit ? report : undefined;
}
