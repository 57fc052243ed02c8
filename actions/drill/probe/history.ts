import type { Operation } from '../../core/history/operation.ts';

/** What one request was and what became of it; all times on the machine's monotonic clock (ms). */
export interface Request {
  readonly id: number;
  /** Which client asked: it asks nothing else meanwhile. */
  readonly process: number;
  readonly op: Operation['op'];
  readonly key: string;
  /** Written, or read; null for a delete, and for a read that found nothing or got no answer. */
  readonly value: string | null;
  /** Of a compare-and-set: the value that must be there; null: none. */
  readonly expected?: string | null;
  /** The version that the answer named. */
  readonly etag: string | null;
  /** The replication ID of the Redis that acknowledged a change, as the service says; null: it does not. */
  readonly primary: string | null;
  readonly requestId: string;
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
 * `ok`: answered as the service answers (200, 204, 404 where nothing is, 412 for a condition). `refused`: 503; a write may have been
 * applied all the same. `unknown`: a change that got no answer or an unclear one; it may have been applied, or may be yet. `failed`: a
 * read without an answer, or a change that surely never happened.
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
  if (resultOf(op, status) !== null) return 'ok';
  if (status === 503) return 'refused';
  if (op === 'read') return 'failed';
  return status >= 500 || status === 408 ? 'unknown' : 'failed';
}

function resultOf(op: Request['op'], status: number): Operation['result'] {
  if (status >= 200 && status < 300) return 'done';
  if (status === 404 && op !== 'write') return 'absent';
  return status === 412 && op !== 'read' ? 'mismatch' : null;
}

/** The outcome of a request without an answer, by Node's error code. Pure. */
export function outcomeOfError(op: Request['op'], code: string): Exclude<Outcome, 'refused'> {
  if (op === 'read') return 'failed';
  // Never connected, so nothing was sent.
  return code === 'ECONNREFUSED' || code === 'EHOSTUNREACH' || code === 'ENETUNREACH' ? 'failed' : 'unknown';
}

/** The request as the checker of histories takes it. Pure. */
export function operationOf(request: Request): Operation {
  const { process, op, key, value, expected, etag, primary, requestId, status, error } = request;
  const refused = op === 'read' ? 'failed' : 'unknown';
  return {
    process,
    op,
    key,
    value,
    ...(expected === undefined ? {} : { expected }),
    etag,
    primary,
    requestId,
    invokedAt: request.sentAt,
    completedAt: request.endedAt,
    outcome: request.outcome === 'refused' ? refused : request.outcome,
    result: request.outcome === 'ok' ? resultOf(op, status) : null,
    status,
    ...(error === undefined ? {} : { error }),
  };
}

/** An acknowledged change: a write or a delete. */
export function acknowledged(request: Request): boolean {
  return request.op !== 'read' && request.outcome === 'ok' && request.status !== 412;
}

export function latencyMs(request: Request): number {
  return request.endedAt - request.intendedAt;
}

export function lagOf(history: readonly Request[]): ProbeLag {
  const lags = history.map((request) => request.sentAt - request.intendedAt).sort((a, b) => a - b);
  return { p99Ms: lags[Math.floor(lags.length * 0.99)] ?? 0, maxMs: lags.at(-1) ?? 0 };
}
