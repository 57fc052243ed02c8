import { percentiles } from '../report/data.ts';
import { longestPhase } from '../report/phases.ts';
import { count, sum } from '../report/text.ts';
import type { KeptRun } from './file.ts';

const head = ['', 'scenario', 'runs', 'p50', 'p95', 'max', 'budget', 'failed', 'lost', 'false failovers', 'too long'];

/** A line for each scenario over all of its runs, times in ms, and one with the sums. Pure. */
export function summaryOfRuns(runs: readonly KeptRun[]): string {
  if (runs.length === 0) return 'No run was measured yet.';
  const byScenario = Map.groupBy(runs, (run) => run.scenario);
  const rows = [...byScenario].sort(([a], [b]) => a.localeCompare(b)).map(([name, own]) => rowOf(name, own));
  const total = ['', 'all', count(runs.length), '', '', '', '', ...totals(runs), ''];
  return align([head, ...rows, total]);
}

function rowOf(name: string, runs: readonly KeptRun[]): string[] {
  const recoveries = runs.map(({ run }) => run.recoveryMs).filter((ms) => ms !== null);
  const { p50, p95, max } = percentiles(recoveries);
  const figures = [p50, p95, max].map((ms) => (ms === null ? '-' : count(ms)));
  const budget = runs.at(-1)?.budgetMs ?? 0;
  const ok = runs.every(({ run }) => run.ok);
  return [ok ? 'ok' : 'RED', name, count(runs.length), ...figures, count(budget), ...totals(runs), tooLong(runs)];
}

function totals(runs: readonly KeptRun[]): string[] {
  const total = (of: 'failedRequests' | 'lostWrites' | 'falseFailovers'): string =>
    count(sum(runs, ({ run }) => run[of]));
  return [total('failedRequests'), total('lostWrites'), total('falseFailovers')];
}

/** Of the slowest run that is over its budget: the phase that took most of it. Without one: how many are red for something else. */
function tooLong(runs: readonly KeptRun[]): string {
  const over = runs.filter(({ run, budgetMs }) => (run.recoveryMs ?? 0) > budgetMs);
  const slowest = over.sort((a, b) => (b.run.recoveryMs ?? 0) - (a.run.recoveryMs ?? 0))[0];
  const red = runs.filter(({ run }) => !run.ok);
  if (slowest === undefined) return red.length === 0 ? '' : `${red.length} red: ${short(red[0]?.run.reason ?? '')}`;
  const phase = longestPhase(slowest.run);
  const where = phase === undefined ? 'no phase was seen' : `until ${phase.name} ${count(phase.tookMs)} ms`;
  return `${over.length} of ${runs.length} over: ${where}`;
}

function short(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** Words to the left, numbers to the right. */
function align(rows: readonly string[][]): string {
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number): string => {
    const width = widths[column] ?? 0;
    return column < 2 || column === head.length - 1 ? text.padEnd(width) : text.padStart(width);
  };
  return rows.map((row) => row.map(cell).join('  ').trimEnd()).join('\n');
}
