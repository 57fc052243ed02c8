import type { Request } from '../probe/history.ts';

/** How much of a request's wait may be the probe's own: the most by which it sent any late while this one waited, in ms. */
export function probeLatenessMs({ intendedAt, endedAt }: Request, history: readonly Request[]): number {
  return history
    .filter(({ sentAt }) => sentAt >= intendedAt && sentAt <= endedAt)
    .reduce((latest, request) => Math.max(latest, lateness(request)), 0);
}

/** The same for many requests of one history: a stall of seconds delays thousands, and each look-up is in O(log n). */
export function probeLatenessIn(history: readonly Request[]): (request: Request) => number {
  const sent = history.toSorted((a, b) => a.sentAt - b.sentAt);
  const firstFrom = (time: number): number => firstWhere(sent.length, (index) => (sent[index]?.sentAt ?? 0) >= time);
  const firstAfter = (time: number): number => firstWhere(sent.length, (index) => (sent[index]?.sentAt ?? 0) > time);
  const most = mostWithin(sent.map(lateness));
  return ({ intendedAt, endedAt }) => Math.max(0, most(firstFrom(intendedAt), firstAfter(endedAt)));
}

function lateness({ sentAt, intendedAt }: Request): number {
  return sentAt - intendedAt;
}

/** The first index for which it is true; it is so for all that follow. */
function firstWhere(length: number, isTrue: (index: number) => boolean): number {
  let [low, high] = [0, length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (isTrue(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The largest value from one index to before another. Level k knows that of each 2^k values in a row; two such rows cover any range. */
function mostWithin(values: readonly number[]): (from: number, to: number) => number {
  const none = Number.NEGATIVE_INFINITY;
  const levels = [values];
  for (let width = 1; 2 * width <= values.length; width *= 2) {
    const below = levels.at(-1) ?? [];
    levels.push(below.map((value, index) => Math.max(value, below[index + width] ?? none)));
  }
  return (from, to) => {
    if (from >= to) return none;
    const level = Math.floor(Math.log2(to - from));
    const row = levels[level] ?? [];
    return Math.max(row[from] ?? none, row[to - 2 ** level] ?? none);
  };
}
