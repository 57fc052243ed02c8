import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** One run of one case of the matrix; a line of out/faults.jsonl. */
export interface CaseRun {
  readonly name: string;
  readonly ok: boolean;
  /** What the fleet did. */
  readonly told: readonly string[];
  /** The promises that it broke, and what failed before; none when it is green. */
  readonly broken: readonly string[];
  readonly requests: number;
  readonly failed: number;
  /** Acknowledged writes that are gone, and any other wrong answer. */
  readonly lost: number;
  readonly longestMs: number;
  readonly seconds: number;
}

/** Appends a run to PATH.jsonl and draws PATH.md from all of them, so that cases which ran one by one are one table. */
export function keepCase(path: string, run: CaseRun): void {
  mkdirSync(dirname(path), { recursive: true });
  appendFileSync(`${path}.jsonl`, `${JSON.stringify(run)}\n`);
  writeFileSync(`${path}.md`, tableOf(readCases(path)));
}

/** All runs so far, in their order. */
export function readCases(path: string): CaseRun[] {
  if (!existsSync(`${path}.jsonl`)) return [];
  const lines = readFileSync(`${path}.jsonl`, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as CaseRun);
}

/** A line for each case over all of its runs, and one for all; what it did, of the last run. Pure. */
export function tableOf(runs: readonly CaseRun[]): string {
  const cases = [...Map.groupBy(runs, (run) => run.name)].sort(([a], [b]) => a.localeCompare(b));
  const head = ['case', 'last', 'green', 'requests', 'failed', 'lost', 'longest wait', 'took', 'what happened'];
  const rows = cases.map(([name, own]) => {
    const last = own.at(-1);
    const what = [...(last?.told ?? []), ...(last?.broken ?? [])].join('; ');
    return [name, last?.ok ? 'ok' : 'RED', ...figures(own), what];
  });
  const red = cases.filter(([, own]) => own.at(-1)?.ok !== true).length;
  const total = [`${cases.length} cases`, red === 0 ? 'ok' : `${red} RED`, ...figures(runs), ''];
  return `${[head, head.map(() => '---'), ...rows, total].map((row) => `| ${row.map(cell).join(' | ')} |`).join('\n')}\n`;
}

function figures(runs: readonly CaseRun[]): string[] {
  const sum = (of: 'requests' | 'failed' | 'lost' | 'seconds') => runs.reduce((all, run) => all + run[of], 0);
  const green = `${runs.filter((run) => run.ok).length} of ${runs.length}`;
  const longest = runs.reduce((most, run) => Math.max(most, run.longestMs), 0);
  return [green, `${sum('requests')}`, `${sum('failed')}`, `${sum('lost')}`, `${longest} ms`, `${sum('seconds')} s`];
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '/').trim();
}
