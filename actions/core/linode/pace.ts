import { sleep } from '../deadline.ts';

/** Gives out at most `count` slots in any `perMs` milliseconds; waits for the next one. For limits that a server enforces over a window. */
export function pace(count: number, perMs: number): () => Promise<void> {
  const given: number[] = [];
  return async () => {
    const now = performance.now();
    const nthLast = given.length < count ? -Infinity : (given.at(-count) ?? -Infinity);
    const at = Math.max(now, nthLast + perMs);
    given.push(at);
    if (given.length > count) given.shift();
    if (at > now) await sleep(at - now);
  };
}
