import { sleep } from '../deadline.ts';
import { LinodeError } from './errors.ts';

export interface RetryPolicy {
  /** How long to go on trying (ms). */
  readonly forMs: number;
  /** The first pause; each further one is twice as long, up to `maxPauseMs` (ms). */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  /** Tries of a call whose outcome stays open, each as long as its deadline. */
  readonly unclearTries: number;
  readonly onRetry?: (error: LinodeError, pauseMs: number) => void;
}

/**
 * Calls `work` again while Linode says "later" (408, 429 with its Retry-After, 503, "Linode busy.").
 * After a failure that leaves open whether the call had its effect, `settle` is asked: a value from it is the result, undefined
 * means try again. Without `settle` an unclear failure is tried again too, so give none only where twice is as good as once.
 * Throws the last LinodeError.
 */
export async function withRetry<T>(
  work: () => Promise<T>,
  policy: RetryPolicy,
  settle?: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + policy.forMs;
  let unclear = 0;
  for (let attempt = 0; ; attempt += 1) {
    let failure: LinodeError;
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LinodeError)) throw error;
      failure = error;
    }
    if (failure.unclear) unclear += 1;
    const final = !failure.later && !failure.unclear;
    // A refusal that follows an unclear try may be due to that try's effect, so it is settled like one.
    if (final && (unclear === 0 || settle === undefined)) throw failure;
    const pauseMs = pauseBefore(attempt, failure, policy);
    if (performance.now() + pauseMs > deadline || unclear > policy.unclearTries) throw failure;
    policy.onRetry?.(failure, pauseMs);
    await sleep(pauseMs);
    const settled = unclear > 0 ? await settle?.() : undefined;
    if (settled !== undefined) return settled;
    if (final) throw failure;
  }
}

function pauseBefore(attempt: number, failure: LinodeError, policy: RetryPolicy): number {
  if (failure.retryAfterMs !== undefined) return failure.retryAfterMs;
  const pauseMs = Math.min(policy.maxPauseMs, policy.pauseMs * 2 ** attempt);
  // Spread, so that ten machines that were refused together don't come back together.
  return pauseMs * (0.75 + Math.random() / 2);
}
