// npm run drill-history -- [ENVIRONMENT] [--file FILE]: p50 and p95 of each scenario's recovery, night by night.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../core/errors.ts';
import { drawHistory } from './draw.ts';
import { parseHistory } from './night.ts';
import { historyBranch, historyPath } from './store.ts';

try {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { file: { type: 'string' } } });
  const text = values.file === undefined ? fromGit(positionals[0] ?? 'production') : readFileSync(values.file, 'utf8');
  console.log(drawHistory(parseHistory(text)));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}

/** From the branch as it was fetched last. */
function fromGit(environment: string): string {
  const name = `origin/${historyBranch}:${historyPath(environment)}`;
  try {
    return execFileSync('git', ['show', name], {
      encoding: 'utf8',
      timeout: 20_000,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch {
    throw new Error(`there is no ${name}; run git fetch origin ${historyBranch}, or give --file FILE`);
  }
}
