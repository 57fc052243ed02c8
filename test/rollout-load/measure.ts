import { checkHistory, type Violation } from '../../actions/core/history/check.ts';
import type { Operation } from '../../actions/core/history/operation.ts';
import { wallMs } from '../../actions/drill/clock.ts';
import { lagOf, latencyMs, operationOf, type Request } from '../../actions/drill/probe/history.ts';
import { probeLatenessMs } from '../../actions/drill/verdict/recovery.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { mostFrequent } from '../bench/failures.ts';

/** What clients waited for one answer, without what the probe itself was late by, and what the rollout did meanwhile. */
export interface Stall {
  readonly ms: number;
  /** From the rollout's beginning to the time when the request should have been sent. */
  readonly atMs: number;
  readonly node: string;
  readonly phase: string;
}

/** A rollout under load, as data. */
export interface Round {
  readonly startedAt: string;
  readonly ms: number;
  /** Why the rollout failed, or null. */
  readonly error: string | null;
  /** Units that were restarted or reloaded. */
  readonly units: number;
  readonly requests: number;
  readonly failed: number;
  /** `3 x write 503`, the most frequent first. */
  readonly failures: readonly string[];
  readonly acknowledged: number;
  readonly lost: number;
  /** What else the clients' history can't be explained by. */
  readonly wrong: number;
  readonly proofs: readonly string[];
  /** The longest stall of each node's phase in which somebody waited for long, the longest first. */
  readonly stalls: readonly Stall[];
  /** The longest that writes were held back by a handover. */
  readonly pausedMs: number;
  /** The longest that a client waited during a handover. */
  readonly handoverStallMs: number;
  /** The probe's own lateness, p99 and most. */
  readonly lagMs: number;
  readonly lagMaxMs: number;
}

/** Below this nothing is called a stall: a busy machine's hiccup takes as long. */
const stallFromMs = 50;

/** The figures of a round: the probe's requests, the reads after it, and the rollout's own report. Pure. */
export function measure(
  history: readonly Request[],
  readBack: readonly Operation[],
  report: RolloutReport,
): Omit<Round, 'error'> {
  const verdict = checkHistory([...history.map(operationOf), ...readBack]);
  const count = (...kinds: Violation['kind'][]): number =>
    verdict.violations.filter((each) => kinds.includes(each.kind)).length;
  const lost = count('lost', 'overwritten');
  const failures = history.filter((each) => each.outcome !== 'ok');
  const stalls = stallsOf(history, report);
  return {
    startedAt: report.startedAt,
    ms: report.ms,
    units: report.nodes.flatMap((node) => node.units).length,
    requests: history.length,
    failed: failures.length,
    failures: mostFrequent(failures),
    acknowledged: verdict.acknowledged,
    lost,
    wrong: verdict.violations.length - lost,
    proofs: verdict.violations.map((each) => `${each.kind}: ${each.key}: ${each.what}`),
    stalls,
    pausedMs: Math.max(0, ...report.handovers.map((each) => Math.round(each.pausedMs))),
    handoverStallMs: Math.max(0, ...stalls.filter((each) => each.phase === 'handover').map((each) => each.ms)),
    lagMs: Math.round(lagOf(history).p99Ms),
    lagMaxMs: Math.round(lagOf(history).maxMs),
  };
}

/** How long the fleet let this client wait. */
export function stallMs(request: Request, history: readonly Request[]): number {
  const waitedMs = latencyMs(request);
  return waitedMs < stallFromMs ? waitedMs : waitedMs - probeLatenessMs(request, history);
}

function stallsOf(history: readonly Request[], report: RolloutReport): Stall[] {
  const startedAt = Date.parse(report.startedAt);
  const longest = new Map<string, Stall>();
  for (const request of history) {
    const ms = Math.round(stallMs(request, history));
    if (ms < stallFromMs) continue;
    const atMs = Math.round(wallMs(request.intendedAt) - startedAt);
    const during = phaseDuring(report, atMs, atMs + ms);
    const key = `${during.node} ${during.phase}`;
    if (ms > (longest.get(key)?.ms ?? 0)) longest.set(key, { ms, atMs, ...during });
  }
  return [...longest.values()].sort((a, b) => b.ms - a.ms);
}

/** The phase that ran for most of that time; of several the one that was shorter, for it says more. */
function phaseDuring(report: RolloutReport, fromMs: number, toMs: number): { node: string; phase: string } {
  const running = report.nodes.flatMap(({ node, phases }) =>
    phases.map(({ phase, ms, endMs }) => {
      const sharedMs = Math.min(toMs, endMs) - Math.max(fromMs, endMs - ms);
      return { node, phase, ms, sharedMs };
    }),
  );
  const most = running
    .filter((each) => each.sharedMs > 0 && each.phase !== 'stage')
    .sort((a, b) => b.sharedMs - a.sharedMs || a.ms - b.ms)[0];
  return most === undefined ? { node: 'none', phase: 'between' } : { node: most.node, phase: most.phase };
}
