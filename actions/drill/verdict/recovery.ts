import { acknowledged, latencyMs, type Request } from '../probe/history.ts';

export interface Recovery {
  /**
   * From the fault to the last request that failed or overran its deadline, or to the first success after the last stall, whichever
   * is later; 0 when no client noticed, null when it was not measured.
   */
  readonly recoveryMs: number | null;
  /** The longest time that a client waited for any one answer, from the time it meant to ask. */
  readonly stalledMs: number;
  /** From the fault to the first acknowledged write after the interruption; null when writes were never interrupted. */
  readonly firstWriteMs: number | null;
}

/**
 * What counts as a stall, beside what the probe itself was late by: three times the worst of the undisturbed time before the fault, and not below 100 ms, so that a busy machine's
 * hiccup isn't taken for one.
 */
export function stallThresholdMs(before: readonly Request[]): number {
  return before.reduce((threshold, request) => Math.max(threshold, 3 * latencyMs(request)), 100);
}

/**
 * @param history all requests of the run
 * @param faultAt when the fault took effect
 * @param until requests that were due later than this don't count: that is the healing
 * @param calmUntil until when nothing was done to the fleet
 */
export function recoveryOf(
  history: readonly Request[],
  faultAt: number,
  until = Number.POSITIVE_INFINITY,
  calmUntil = faultAt,
): Recovery {
  const before = history.filter((request) => request.endedAt < calmUntil);
  const exposed = history.filter((request) => request.endedAt >= faultAt && request.intendedAt < until);
  const thresholdMs = stallThresholdMs(before);
  const failures = exposed.filter((request) => request.outcome !== 'ok').map((request) => request.endedAt);
  const slow = exposed
    .filter((request) => request.outcome === 'ok' && latencyMs(request) > thresholdMs)
    .filter((request) => latencyMs(request) - probeLatenessMs(request, exposed) > thresholdMs);
  const reads = slow.filter((request) => request.op === 'read');
  const writes = slow.filter((request) => request.op !== 'read');
  const ends = [...failures, ...stallEnds(reads), ...stallEnds(writes)].map((endedAt) => endedAt - faultAt);
  return {
    // Where nobody asked nobody can have noticed, and that is no recovery of 0 ms.
    recoveryMs: exposed.length === 0 ? null : ends.reduce((last, end) => Math.max(last, end), 0),
    stalledMs: exposed.reduce((longest, request) => Math.max(longest, latencyMs(request)), 0),
    firstWriteMs: firstWrite(exposed, faultAt, thresholdMs),
  };
}

/** How much of a request's wait may be the probe's own: the most by which it sent any late while this one waited, in ms. */
export function probeLatenessMs({ intendedAt, endedAt }: Request, history: readonly Request[]): number {
  return history
    .filter(({ sentAt }) => sentAt >= intendedAt && sentAt <= endedAt)
    .reduce((latest, request) => Math.max(latest, request.sentAt - request.intendedAt), 0);
}

/**
 * When each stall ended. A stall is a group of slow requests that waited at the same time; it ends with the first of them that is
 * answered. The others are answered meanwhile; one that comes after that and is slow again belongs to the next stall.
 */
function stallEnds(slow: readonly Request[]): number[] {
  const ends: number[] = [];
  let group: Request[] = [];
  const close = (): void => {
    if (group.length > 0) ends.push(Math.min(...group.map((request) => request.endedAt)));
  };
  for (const request of [...slow].sort((a, b) => a.intendedAt - b.intendedAt)) {
    if (group.length > 0 && request.intendedAt > Math.min(...group.map((each) => each.endedAt))) {
      close();
      group = [];
    }
    group.push(request);
  }
  close();
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
