import { type Night, nightOf } from '../history/night.ts';
import { chart, trendOf } from '../history/trend.ts';
import type { DrillReport, RunReport, ScenarioReport } from './data.ts';
import { count, ms, plain, sum } from './text.ts';

/** A row for each scenario; the nights before and the alerts only where there are any. Pure. */
export function table(scenarios: readonly ScenarioReport[], history: readonly Night[]): string {
  const before = scenarios.some((scenario) => trendOf(scenario, history) !== undefined);
  const columns: [string, string][] = [
    ['', '---'],
    ['scenario', '---'],
    ['recovery p50 / p95 / max', '--:'],
    ['budget', '--:'],
    ...(before ? [['nights before', '--:'] as [string, string]] : []),
    ['longest stall', '--:'],
    ['failed requests', '--:'],
    ['acknowledged writes', '--:'],
    ['lost', '--:'],
    ...(alerted(scenarios) ? [['alert', '---'] as [string, string]] : []),
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
  const cells = [
    ok ? 'ok' : '**RED**',
    name,
    ok ? recovery(recoveryMs, runs.length) : `**${recovery(recoveryMs, runs.length)}**`,
    ms(budgetMs),
    ...before,
    ms(stalls.length === 0 ? null : Math.max(...stalls)),
    `${count(sum(runs, (run) => run.failedRequests))} of ${count(sum(runs, (run) => run.requests))}`,
    count(sum(runs, (run) => run.ackedWrites)),
    lost === 0 ? '0' : `**${count(lost)}**`,
    ...(alerts ? [alertCell(runs)] : []),
  ];
  return `| ${cells.join(' | ')} |`;
}

function alerted(scenarios: readonly ScenarioReport[]): boolean {
  return scenarios.some((scenario) => scenario.runs.some((run) => run.alert !== null));
}

/** The latest of the runs: who is on call waits for that. */
function alertCell(runs: readonly RunReport[]): string {
  const seen = runs.flatMap((run) => (run.alert === null ? [] : [run.alert]));
  const last = seen.sort((a, b) => b.firedMs - a.firedMs)[0];
  return last === undefined ? '-' : `${plain(last.name)} after ${ms(last.firedMs)}`;
}

function nightsBefore(scenario: ScenarioReport, history: readonly Night[]): string[] {
  const trend = trendOf(scenario, history);
  if (trend === undefined) return ['-'];
  const { nights, medianMs, minMs, maxMs } = trend;
  return [`${count(medianMs)} (${count(minMs)} to ${count(maxMs)}) ms in ${nights}`];
}

/** What is outside the spread of the nights before. A warning, and not red: the budget says what is. */
export function changes(scenarios: readonly ScenarioReport[], history: readonly Night[]): string[] {
  const lines = scenarios.flatMap((scenario) => {
    const trend = trendOf(scenario, history);
    if (trend === undefined || (trend.tonight !== 'slower' && trend.tonight !== 'faster')) return [];
    const { tonight, nights, minMs, maxMs, confidence } = trend;
    const percent = Math.floor(confidence * 100);
    return [
      `- **${scenario.name}** is ${tonight} than on each of the last ${nights} nights (${ms(scenario.recoveryMs.p50)} against ${count(minMs)} to ${ms(maxMs)}): a change with ${percent} % confidence.`,
    ];
  });
  return lines.length === 0 ? [] : [lines.join('\n')];
}

/** Of the scenario that recovered slowest tonight, if it has a history. */
export function trendChart(report: DrillReport, history: readonly Night[]): string[] {
  const slowest = [...report.scenarios].sort((a, b) => (b.recoveryMs.p50 ?? 0) - (a.recoveryMs.p50 ?? 0));
  const nights = [...history, nightOf(report, '')];
  const drawn = slowest.map((scenario) => chart(scenario.name, nights)).find((each) => each !== undefined);
  return drawn === undefined ? [] : ['### The nights before', drawn];
}

/** One run has one figure, not three. */
function recovery({ p50, p95, max }: ScenarioReport['recoveryMs'], runs: number): string {
  if (max === null) return 'not measured';
  if (runs === 1) return ms(max);
  return `${[p50, p95, max].map((value) => count(value ?? 0)).join(' / ')} ms`;
}
