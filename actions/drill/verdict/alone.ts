import type { Request } from '../probe/history.ts';

/**
 * A stall has touched a request when so many that were due one after the other were slow, all waiting at one moment. Requests of one
 * kind are counted, so that a stall of the writes isn't thinned by the reads between them.
 *
 * A packet that is lost on the way delays one request, and which one is chance. At 500 requests a second that need four packets each, one
 * in a thousand of them lost, chance lets four in ten be slow once in ten thousand drills. Three that wait at the same time it makes in
 * every other. A stall delays all who come, or every second one where one of two apps stalls.
 */
const burst = { slow: 4, among: 10 } as const;

/** A stall that touches few, such as one of twenty connections: 5 %, and more than chance has wait at once. */
const trickle = { slow: 8, among: 160 } as const;

/**
 * The slow requests that waited alone: no stall touched them, so what delayed them may be the way to the fleet. Pure.
 * @param slow those that were exposed to the fault and answered late
 * @param history all requests of the run. Of those that were due before the fault only the slow ones were exposed to it: among the exposed
 * alone each lost packet would seem to have company.
 */
export function aloneOf(slow: readonly Request[], history: readonly Request[]): Set<Request> {
  const alone = new Set(slow);
  const kinds = Map.groupBy(history, ({ op }) => (op === 'read' ? 'read' : 'change'));
  for (const kind of kinds.values()) for (const request of touched(kind, alone)) alone.delete(request);
  return alone;
}

function touched(kind: readonly Request[], slow: ReadonlySet<Request>): Request[] {
  const due = kind.toSorted((a, b) => a.intendedAt - b.intendedAt);
  const late = due.flatMap((request, place) => (slow.has(request) ? [{ request, place }] : []));
  return [burst, trickle].flatMap((stall) =>
    late.flatMap((first, index) => {
      const group = late.slice(index, index + stall.slow);
      const last = group.at(-1) ?? first;
      const near = group.length === stall.slow && last.place - first.place < stall.among;
      const atOnce = group.every(({ request }) => request.endedAt >= last.request.intendedAt);
      return near && atOnce ? group.map(({ request }) => request) : [];
    }),
  );
}
