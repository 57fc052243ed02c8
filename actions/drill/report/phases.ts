import type { RunReport, ScenarioReport } from './data.ts';

export interface Phase {
  readonly name: string;
  /** When it was reached, from the fault (ms). */
  readonly atMs: number;
  /** False: no client waited for it, for writes were acknowledged before, or the promotion is what clients go by. */
  readonly waited: boolean;
}

/** Each Redis is asked for its role every 25 ms, so its promotion is seen that much later, and a round trip. */
const seenLateMs = 100;

/** The phases that were seen, in the order of time, all from the fault: what counts from its end is left out. */
export function phasesOfRun(run: RunReport): Phase[] {
  const { promotedMs, detail } = run;
  const counted = detail?.recovery ?? 'fault';
  const firstWriteMs = counted === 'return' ? null : (detail?.firstWriteMs ?? null);
  const written = firstWriteMs ?? Number.POSITIVE_INFINITY;
  // Whom replicas follow, and who acknowledges a write, had been promoted; much later it is another one's promotion.
  const shownMs = Math.min(written, detail?.resyncedMs ?? written);
  const late = promotedMs !== null && promotedMs > shownMs && promotedMs - shownMs <= seenLateMs;
  const failover: [string, number | null | undefined][] = [
    ['suspected by a Sentinel', run.detectedMs],
    ['agreed by the quorum', detail?.agreedMs],
    ['leader elected', run.electedMs],
    ['replica promoted', late ? shownMs : promotedMs],
    ['new primary announced', promotedMs === null ? detail?.announcedMs : null],
    ['replicas linked to the new primary', detail?.resyncedMs],
  ];
  const clients: [string, number | null | undefined][] = [
    ['first write acknowledged again', firstWriteMs],
    ['all clients back', counted !== 'fault' || run.recoveryMs === 0 ? null : run.recoveryMs],
  ];
  const announced = promotedMs === null ? [] : seen([['new primary announced', detail?.announcedMs]], () => false);
  return [...seen(failover, (atMs) => atMs <= written), ...seen(clients, () => true), ...announced].sort(
    (a, b) => a.atMs - b.atMs,
  );
}

function seen(named: readonly [string, number | null | undefined][], waited: (atMs: number) => boolean): Phase[] {
  return named.flatMap(([name, atMs]) =>
    atMs === null || atMs === undefined ? [] : [{ name, atMs, waited: waited(atMs) }],
  );
}

/** When the scenario's alert fired and was over; no part of the recovery, which does not wait for it. Pure. */
export function alertPhases({ alert }: RunReport): Phase[] {
  if (alert === null) return [];
  const { name, firedMs, overMs = null } = alert;
  const named: [string, number | null][] = [
    [`alert ${name} fired`, firedMs],
    [`alert ${name} over`, overMs],
  ];
  return seen(named, () => false);
}

/** The phase that took longest on the way to the last client, and how long (ms). Undefined when none was seen. Pure. */
export function longestPhase(run: RunReport): { readonly name: string; readonly tookMs: number } | undefined {
  const phases = phasesOfRun(run).filter(({ atMs, waited }) => waited && atMs <= (run.recoveryMs ?? 0));
  const took = phases.map(({ name, atMs }, index) => ({ name, tookMs: atMs - (phases[index - 1]?.atMs ?? 0) }));
  return took.sort((a, b) => b.tookMs - a.tookMs)[0];
}

/**
 * A Mermaid gantt of the slowest recovery from a fault: each bar is the time from one phase to the next, the longest marked when the
 * budget was missed; what nobody waited for, and the budget, are points. Undefined when nothing was slow. Pure.
 */
export function gantt(scenarios: readonly ScenarioReport[]): string | undefined {
  const slowest = slowestRun(scenarios);
  if (slowest === undefined) return undefined;
  const { scenario, run } = slowest;
  const longest = (run.recoveryMs ?? 0) > scenario.budgetMs ? longestPhase(run)?.name : undefined;
  let from = 0;
  const bars = phasesOfRun(run).map(({ name, atMs, waited }) => {
    const label = `${name} (${atMs} ms)`;
    if (!waited || atMs === from) return `    ${label} :milestone, ${atMs}, 0ms`;
    const bar = `    ${label} :${name === longest ? 'crit, ' : ''}${from}, ${atMs}`;
    from = atMs;
    return bar;
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
  const measured = runs.filter(({ run }) => (run.recoveryMs ?? 0) > 0 && (run.detail?.recovery ?? 'fault') === 'fault');
  return measured.sort((a, b) => (b.run.recoveryMs ?? 0) - (a.run.recoveryMs ?? 0))[0];
}
