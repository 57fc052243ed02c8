import type { Cancellation } from './job-run.ts';

/**
 * A job's cancellation: by the run's signal or because its time is up. Processes that run then are stopped; always() and post steps
 * that start later get `cleanupMs` in all.
 */
export function createCancellation(outer: AbortSignal | undefined, timeoutMs: number, cleanupMs: number): Cancellation {
  const cancel = new AbortController();
  const cleanup = new AbortController();
  let cleanupTimer: NodeJS.Timeout | undefined;
  const start = (reason: string): void => {
    if (cancel.signal.aborted) return;
    cleanupTimer = setTimeout(() => cleanup.abort(), cleanupMs);
    cancel.abort(reason);
  };
  const onOuter = (): void => start('the run was cancelled');
  const timer = setTimeout(() => start(`the job took longer than ${timeoutMs / 60_000} minutes`), timeoutMs);
  if (outer?.aborted) onOuter();
  else outer?.addEventListener('abort', onOuter, { once: true });
  return {
    signal: () => (cancel.signal.aborted ? cleanup.signal : cancel.signal),
    cancelled: () => cancel.signal.aborted,
    reason: () => String(cancel.signal.reason ?? ''),
    release: () => {
      clearTimeout(timer);
      clearTimeout(cleanupTimer);
      outer?.removeEventListener('abort', onOuter);
    },
  };
}

/** Aborts on SIGINT or SIGTERM to this process; call the returned function to give the signals back. */
export function cancelOnSignals(): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  process.on('SIGINT', abort);
  process.on('SIGTERM', abort);
  return {
    signal: controller.signal,
    release: () => {
      process.off('SIGINT', abort);
      process.off('SIGTERM', abort);
    },
  };
}
