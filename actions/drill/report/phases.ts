import type { RunReport, ScenarioReport } from './data.ts';

export interface Phase {
  readonly name: string;
  /** When it was reached, from the fault (ms). */
  readonly atMs: number;
}

/** Each Redis is asked for its role every 25 ms, so its promotion is seen that much later, and a round trip. */
const seenLateMs = 100;

/** The phases that were seen, in the order of time. */
export function phasesOfRun(run: RunReport): Phase[] {
  const { promotedMs } = run;
  const firstWriteMs = run.detail?.firstWriteMs ?? Number.POSITIVE_INFINITY;
  // What acknowledged a write then had been promoted; much later it is another one's promotion.
  const late = promotedMs !== null && promotedMs > firstWriteMs && promotedMs - firstWriteMs <= seenLateMs;
  const named: [string, number | null | undefined][] = [
    ['suspected by a Sentinel', run.detectedMs],
    ['agreed by the quorum', run.detail?.agreedMs],
    ['leader elected', run.electedMs],
    ['replica promoted', late ? firstWriteMs : promotedMs],
    ['first write acknowledged again', run.detail?.firstWriteMs],
    ['new primary announced', run.detail?.announcedMs],
    ['replicas linked to the new primary', run.detail?.resyncedMs],
    ['all clients back', run.recoveryMs === 0 ? null : run.recoveryMs],
  ];
  return named
    .flatMap(([name, atMs]) => (atMs === null || atMs === undefined ? [] : [{ name, atMs }]))
    .sort((a, b) => a.atMs - b.atMs);
}

/** When the scenario's alert fired and was over; no part of the recovery, which does not wait for it. Pure. */
export function alertPhases({ alert }: RunReport): Phase[] {
  if (alert === null) return [];
  const { name, firedMs, overMs = null } = alert;
  const over = overMs === null ? [] : [{ name: `alert ${name} over`, atMs: overMs }];
  return [{ name: `alert ${name} fired`, atMs: firedMs }, ...over];
}

/** The phase that took longest on the way to the last client, and how long (ms). Undefined when none was seen. Pure. */
export function longestPhase(run: RunReport): { readonly name: string; readonly tookMs: number } | undefined {
  const phases = phasesOfRun(run).filter(({ atMs }) => atMs <= (run.recoveryMs ?? 0));
  const took = phases.map(({ name, atMs }, index) => ({ name, tookMs: atMs - (phases[index - 1]?.atMs ?? 0) }));
  return took.sort((a, b) => b.tookMs - a.tookMs)[0];
}

/**
 * A Mermaid gantt of the slowest recovery: each bar is the time from one phase to the next, the longest marked when the budget
 * was missed, and the budget. Undefined when nothing was slow. Pure.
 */
export function gantt(scenarios: readonly ScenarioReport[]): string | undefined {
  const slowest = slowestRun(scenarios);
  if (slowest === undefined) return undefined;
  const { scenario, run } = slowest;
  const phases = phasesOfRun(run);
  const longest = (run.recoveryMs ?? 0) > scenario.budgetMs ? longestPhase(run)?.name : undefined;
  const bars = phases.map(({ name, atMs }, index) => {
    const from = phases[index - 1]?.atMs ?? 0;
    const label = `${name} (${atMs} ms)`;
    const mark = name === longest ? 'crit, ' : '';
    return atMs > from ? `    ${label} :${mark}${from}, ${atMs}` : `    ${label} :milestone, ${atMs}, 0ms`;
  });
  return [
    '```mermaid',
    'gantt',
    `    title ${scenario.name}, seconds from the fault`,
    '    dateFormat x',
    '    axisFormat %S.%L',
    ...bars,
    `    budget (${scenario.budgetMs} ms) :milestone, ${scenario.budgetMs}, 0ms`,
    '```',
  ].join('\n');
}

function slowestRun(scenarios: readonly ScenarioReport[]): { scenario: ScenarioReport; run: RunReport } | undefined {
  const runs = scenarios.flatMap((scenario) => scenario.runs.map((run) => ({ scenario, run })));
  const measured = runs.filter(({ run }) => (run.recoveryMs ?? 0) > 0);
  return measured.sort((a, b) => (b.run.recoveryMs ?? 0) - (a.run.recoveryMs ?? 0))[0];
}
