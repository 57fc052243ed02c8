import { acknowledged, latencyMs, type Request } from '../probe/history.ts';
import { sortOut, stallThresholdMs } from './slow.ts';

export { probeLatenessMs } from './lateness.ts';

export interface Recovery {
  /**
   * From the fault to the last request that failed or overran its deadline, or to the first success after the last stall, whichever
   * is later; 0 when no client noticed, null when it was not measured.
   */
  readonly recoveryMs: number | null;
  /** The longest time that a client waited for any one answer, from the time it meant to ask. */
  readonly stalledMs: number;
  /** The same without the waits that are no stall: what may be the way's, and what the probe's own lateness explains. */
  readonly countedMs: number;
  /** The slow requests that are no stall because they waited alone, and the longest of their waits (0 without any). */
  readonly lone: { readonly requests: number; readonly longestMs: number };
  /** From the fault to the first acknowledged write after the interruption; null when writes were never interrupted. */
  readonly firstWriteMs: number | null;
}

export interface RecoveryOptions {
  /** Requests that were due later than this don't count: that is the healing. */
  readonly until?: number;
  /** Until when nothing was done to the fleet; else the fault. */
  readonly calmUntil?: number;
  /** What the recovery will be held against (ms). */
  readonly budgetMs?: number;
}

/**
 * What the clients saw of one fault. Pure.
 * @param history all requests of the run
 * @param faultAt when the fault took effect
 */
export function recoveryOf(
  history: readonly Request[],
  faultAt: number,
  { until = Number.POSITIVE_INFINITY, calmUntil = faultAt, budgetMs = Number.POSITIVE_INFINITY }: RecoveryOptions = {},
): Recovery {
  const before = history.filter((request) => request.endedAt < calmUntil);
  const exposed = history.filter((request) => request.endedAt >= faultAt && request.intendedAt < until);
  const thresholdMs = stallThresholdMs(before);
  const { stalls, lone, excused } = sortOut(exposed, history, thresholdMs, budgetMs);
  const failures = exposed.filter((request) => request.outcome !== 'ok').map((request) => request.endedAt);
  const reads = stalls.filter((request) => request.op === 'read');
  const writes = stalls.filter((request) => request.op !== 'read');
  const ends = [...failures, ...stallEnds(reads), ...stallEnds(writes)].map((endedAt) => endedAt - faultAt);
  return {
    // Where nobody asked nobody can have noticed, and that is no recovery of 0 ms.
    recoveryMs: exposed.length === 0 ? null : ends.reduce((last, end) => Math.max(last, end), 0),
    stalledMs: longestOf(exposed),
    countedMs: longestOf(exposed.filter((request) => !excused.has(request))),
    lone: { requests: lone.length, longestMs: longestOf(lone) },
    firstWriteMs: firstWrite(exposed, faultAt, thresholdMs),
  };
}

function longestOf(requests: readonly Request[]): number {
  return requests.reduce((longest, request) => Math.max(longest, latencyMs(request)), 0);
}

/**
 * When each stall ended. A stall is a group of slow requests that waited at the same time; it ends with the first of them that is
 * answered. The others are answered meanwhile; one that comes after that and is slow again belongs to the next stall.
 */
function stallEnds(slow: readonly Request[]): number[] {
  const ends: number[] = [];
  for (const { intendedAt, endedAt } of slow.toSorted((a, b) => a.intendedAt - b.intendedAt)) {
    const end = ends.at(-1);
    if (end === undefined || intendedAt > end) ends.push(endedAt);
    else ends[ends.length - 1] = Math.min(end, endedAt);
  }
  return ends;
}

/** After the longest time without an acknowledged write, if that was longer than `thresholdMs`. */
function firstWrite(exposed: readonly Request[], faultAt: number, thresholdMs: number): number | null {
  const ends = exposed
    .filter(acknowledged)
    .map((request) => request.endedAt)
    .sort((a, b) => a - b);
  let longest = { gapMs: thresholdMs, end: Number.NaN };
  for (const [index, endedAt] of ends.entries()) {
    const gapMs = endedAt - (ends[index - 1] ?? faultAt);
    if (gapMs > longest.gapMs) longest = { gapMs, end: endedAt };
  }
  return Number.isNaN(longest.end) ? null : longest.end - faultAt;
}
