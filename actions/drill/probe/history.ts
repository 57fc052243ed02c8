/** What one request was and what became of it; all times on the machine's monotonic clock (ms). */
export interface Request {
  readonly id: number;
  readonly op: 'read' | 'write';
  readonly key: string;
  /** Written, or read; null for a read that found nothing or got no answer. */
  readonly value: string | null;
  /** When the schedule wanted it sent. Latency counts from here: a client that waits for its turn waits too. */
  readonly intendedAt: number;
  readonly sentAt: number;
  readonly endedAt: number;
  readonly outcome: Outcome;
  /** HTTP status, or 0 when there was no answer. */
  readonly status: number;
  /** Why there was no answer: `deadline`, `ECONNRESET` ... */
  readonly error?: string;
}

/**
 * `ok`: answered (204; 200 or 404 for a read). `refused`: 503. `unknown`: a write that got no answer or an unclear one; it may have
 * been applied, or may be yet. `failed`: a read without an answer, or a write that surely never happened.
 */
export type Outcome = 'ok' | 'refused' | 'unknown' | 'failed';

/** How well the probe itself kept its schedule. */
export interface ProbeLag {
  /** From the intended time to the time sent, of all requests (ms). */
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Above this the recovery figures can't be trusted, and the report says so. */
export const trustedLagMs = 50;

/** The outcome of an answered request. Pure. */
export function outcomeOf(op: Request['op'], status: number): Outcome {
  if (status >= 200 && status < 300) return 'ok';
  if (status === 404 && op === 'read') return 'ok';
  if (status === 503) return 'refused';
  if (op === 'read') return 'failed';
  return status >= 500 ? 'unknown' : 'failed';
}

/** The outcome of a request without an answer, by Node's error code. Pure. */
export function outcomeOfError(op: Request['op'], code: string): Outcome {
  if (op === 'read') return 'failed';
  // Never connected, so nothing was sent.
  return code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' ? 'failed' : 'unknown';
}

export function latencyMs(request: Request): number {
  return request.endedAt - request.intendedAt;
}

export function lagOf(history: readonly Request[]): ProbeLag {
  const lags = history.map((request) => request.sentAt - request.intendedAt).sort((a, b) => a - b);
  return { p99Ms: lags[Math.floor(lags.length * 0.99)] ?? 0, maxMs: lags.at(-1) ?? 0 };
}
