import { setTimeout as delay } from 'node:timers/promises';
import { FiredrillError, messageOf } from './errors.ts';

/** Waits `ms` milliseconds; rejects at once when the signal aborts. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal });
}

/**
 * The promise's value, or a FiredrillError with code `timeout` after `timeoutMs`. The work itself is not stopped by this:
 * `onTimeout` is called so that the caller closes what it holds.
 */
export async function withDeadline<T>(
  work: Promise<T>,
  timeoutMs: number,
  what: string,
  onTimeout?: () => void,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const overrun = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      onTimeout?.();
      reject(new FiredrillError({ code: 'timeout', what: `${what} took longer than ${timeoutMs} ms` }));
    }, timeoutMs);
  });
  try {
    return await Promise.race([work, overrun]);
  } finally {
    clearTimeout(timer);
  }
}

export interface UntilOptions {
  readonly timeoutMs: number;
  readonly intervalMs: number;
  /** Names the awaited state, for the error: "redis-2 linked to its primary". */
  readonly what: string;
  readonly signal?: AbortSignal;
}

/**
 * Calls `probe` until it returns something other than undefined, and gives that. A probe that throws counts as "not yet"; what it
 * threw last is in the error. Throws a FiredrillError with code `timeout` when `timeoutMs` have passed, `cancelled` on the signal.
 */
export async function until<T>(probe: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
  const deadline = performance.now() + options.timeoutMs;
  let last: unknown;
  for (;;) {
    if (options.signal?.aborted)
      throw new FiredrillError({ code: 'cancelled', what: `cancelled while waiting for ${options.what}` });
    try {
      const value = await probe();
      if (value !== undefined) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() + options.intervalMs > deadline) {
      const reason = last === undefined ? '' : `; last answer: ${messageOf(last)}`;
      throw new FiredrillError({
        code: 'timeout',
        what: `waited ${options.timeoutMs} ms for ${options.what}${reason}`,
        cause: last,
      });
    }
    await sleep(options.intervalMs, options.signal).catch(() => {}); // the signal alone ends it early; the loop's head tells
  }
}
