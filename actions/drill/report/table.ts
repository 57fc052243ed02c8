import { type Night, nightOf } from '../history/night.ts';
import { chart, trendOf } from '../history/trend.ts';
import type { DrillReport, RunReport, ScenarioReport } from './data.ts';
import { count, ms, plain, sum } from './text.ts';

/** A row for each scenario; the nights before and the alerts only where there are any. Times in ms. Pure. */
export function table(scenarios: readonly ScenarioReport[], history: readonly Night[]): string {
  const before = scenarios.some((scenario) => trendOf(scenario, history) !== undefined);
  const repeated = scenarios.some((scenario) => scenario.runs.length > 1);
  const columns: [string, string][] = [
    ['', '---'],
    ['scenario', '---'],
    [repeated ? 'recovery p50 / p95 / max (ms)' : 'recovery (ms)', '--:'],
    ['budget (ms)', '--:'],
    ...(before ? [['nights before (ms)', '--:'] as [string, string]] : []),
    ['longest stall (ms)', '--:'],
    ['failed requests', '--:'],
    ['lost writes', '--:'],
    ...(alerted(scenarios) ? [['alert, after (ms)', '---'] as [string, string]] : []),
  ];
  const head = [
    `| ${columns.map(([name]) => name).join(' | ')} |`.replace('|  |', '| |'),
    `|${columns.map(([, align]) => align).join('|')}|`,
  ];
  return [
    ...head,
    ...scenarios.map((scenario) => row(scenario, before ? nightsBefore(scenario, history) : [], alerted(scenarios))),
  ].join('\n');
}

function row(
  { name, ok, runs, recoveryMs, budgetMs }: ScenarioReport,
  before: readonly string[],
  alerts: boolean,
): string {
  const stalls = runs.map((run) => run.stalledMs).filter((value) => value !== null);
  const lost = sum(runs, (run) => run.lostWrites);
  const failed = sum(runs, (run) => run.failedRequests);
  const writes = outOf(
    lost,
    sum(runs, (run) => run.ackedWrites),
  );
  const cells = [
    ok ? 'ok' : '**RED**',
    name,
    isOver(recoveryMs, budgetMs) ? `**${recovery(recoveryMs, runs.length)}**` : recovery(recoveryMs, runs.length),
    count(budgetMs),
    ...before,
    stalls.length === 0 ? '-' : count(Math.max(...stalls)),
    outOf(
      failed,
      sum(runs, (run) => run.requests),
    ),
    lost === 0 ? writes : `**${writes}**`,
    ...(alerts ? [alertCell(runs)] : []),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** Whether it is the recovery that is red: a run can be for other reasons. */
function isOver({ max }: ScenarioReport['recoveryMs'], budgetMs: number): boolean {
  return max === null || max > budgetMs;
}

/** Kept on one line: a figure that is broken into two is read twice. */
function wide(text: string): string {
  return text.replaceAll(' ', '\u00a0');
}

function outOf(part: number, whole: number): string {
  return wide(`${count(part)} of ${count(whole)}`);
}

function alerted(scenarios: readonly ScenarioReport[]): boolean {
  return scenarios.some((scenario) => scenario.runs.some((run) => run.alert !== null));
}

/** The latest of the runs: who is on call waits for that. */
function alertCell(runs: readonly RunReport[]): string {
  const seen = runs.flatMap((run) => (run.alert === null ? [] : [run.alert]));
  const last = seen.sort((a, b) => b.firedMs - a.firedMs)[0];
  return last === undefined ? '-' : `${plain(last.name)} ${count(last.firedMs)}`;
}

function nightsBefore(scenario: ScenarioReport, history: readonly Night[]): string[] {
  const trend = trendOf(scenario, history);
  if (trend === undefined) return ['-'];
  const { medianMs, minMs, maxMs } = trend;
  return [`${count(medianMs)} (${wide(`${count(minMs)} to ${count(maxMs)}`)})`];
}

/** What is outside the spread of the nights before. A warning, and not red: the budget says what is. */
export function changes(scenarios: readonly ScenarioReport[], history: readonly Night[]): string[] {
  const lines = scenarios.flatMap((scenario) => {
    const trend = trendOf(scenario, history);
    if (trend === undefined || (trend.tonight !== 'slower' && trend.tonight !== 'faster')) return [];
    const { tonight, nights, minMs, maxMs, confidence } = trend;
    const percent = Math.floor(confidence * 100);
    return [
      `**${scenario.name}** is ${tonight} than on each of the last ${nights} nights (${ms(scenario.recoveryMs.p50)} against ${count(minMs)} to ${ms(maxMs)}): a change with ${percent} % confidence.`,
    ];
  });
  return lines;
}

/** Of the scenario that recovered slowest tonight, if it has a history. */
export function trendChart(report: DrillReport, history: readonly Night[]): string | undefined {
  const slowest = [...report.scenarios].sort((a, b) => (b.recoveryMs.p50 ?? 0) - (a.recoveryMs.p50 ?? 0));
  const nights = [...history, nightOf(report, '')];
  return slowest.map((scenario) => chart(scenario.name, nights)).find((each) => each !== undefined);
}

/** One run has one figure, not three. */
function recovery({ p50, p95, max }: ScenarioReport['recoveryMs'], runs: number): string {
  if (max === null) return 'not measured';
  if (runs === 1) return count(max);
  return wide(`${[p50, p95, max].map((value) => count(value ?? 0)).join(' / ')}`);
}
