import { appendFileSync, existsSync, mkdirSync, readFileSync, truncateSync } from 'node:fs';
import { dirname } from 'node:path';
import { FiredrillError } from '../../core/errors.ts';
import type { RunReport } from '../report/data.ts';

/** One run of one scenario, as drill.jsonl keeps it: a line of JSON. */
export interface KeptRun {
  readonly version: 1;
  /** When its drill began, as the history knows it. */
  readonly at: string;
  readonly environment: string;
  /** The commit that was deployed; null when nobody could tell. */
  readonly commit: string | null;
  readonly scenario: string;
  /** What it was judged by (ms). */
  readonly budgetMs: number;
  readonly run: RunReport;
}

/** Which runs belong together: the same commit in the same environment. */
export type Measured = Pick<KeptRun, 'environment' | 'commit'>;

/** The runs of a file in the order in which they were measured; none when there is no file. Throws a FiredrillError (`config`) that names the line that is none. */
export function readRuns(path: string): KeptRun[] {
  if (!existsSync(path)) return [];
  return wholeLines(readFileSync(path, 'utf8')).map((line, index) => parseRun(path, line, index + 1));
}

/** The runs that count for that commit in that environment. Pure. */
export function runsOf(runs: readonly KeptRun[], { environment, commit }: Measured): KeptRun[] {
  return runs.filter((run) => run.environment === environment && run.commit === commit);
}

/** Appends one run. A line that a killed writer began goes first: it would spoil this one. */
export function keepRun(path: string, run: KeptRun): void {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path)) {
    const text = readFileSync(path);
    const end = text.lastIndexOf('\n') + 1;
    if (end < text.length) truncateSync(path, end);
  }
  appendFileSync(path, `${JSON.stringify(run)}\n`);
}

function wholeLines(text: string): string[] {
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '');
}

function parseRun(path: string, line: string, number: number): KeptRun {
  try {
    const run = JSON.parse(line) as KeptRun;
    if (run.version === 1 && typeof run.scenario === 'string' && typeof run.run === 'object') return run;
  } catch {}
  throw new FiredrillError({
    code: 'config',
    where: `${path}, line ${number}`,
    what: 'this is no run as this version keeps them',
    fix: 'Remove the line, or move the file away to measure from the start',
  });
}
