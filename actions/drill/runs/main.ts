// npm run drill-runs -- [FILE] [--commit SHA]: what all runs of a commit come to, by default those of the commit measured last.
import { parseArgs } from 'node:util';
import { messageOf } from '../../core/errors.ts';
import { readRuns, runsOf } from './file.ts';
import { summaryOfRuns } from './summary.ts';

try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { commit: { type: 'string' } } });
  const runs = readRuns(positionals[0] ?? 'out/drill.jsonl');
  const last = runs.findLast(({ commit }) => values.commit === undefined || commit?.startsWith(values.commit) === true);
  if (last !== undefined) console.log(`${last.environment}, commit ${last.commit?.slice(0, 12) ?? 'unknown'}`);
  console.log(summaryOfRuns(last === undefined ? [] : runsOf(runs, last)));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
