/** What one client asked for on one key, and what became of it. Times in ms, all on one monotonic clock. */
export interface Operation {
  /** Who asked: it waits for the answer before it asks again. */
  readonly process: number;
  readonly op: 'read' | 'write' | 'delete';
  readonly key: string;
  /** Written (every write has a value of its own) or read; null for a delete, and for a read that found nothing or has no answer. */
  readonly value: string | null;
  /** Compare-and-set: the value that must be there; null: none may be there. Without it the write is unconditional. */
  readonly expected?: string | null;
  /** The version that the answer named. */
  readonly etag: string | null;
  /** The replication ID of the Redis that acknowledged a change, where the service says so. */
  readonly primary?: string | null;
  readonly requestId: string;
  readonly invokedAt: number;
  /** When the answer came or the client gave up. */
  readonly completedAt: number;
  /** `ok`: answered, `result` says how. `failed`: certainly not applied. `unknown`: applied at any time after the invocation, or never. */
  readonly outcome: 'ok' | 'failed' | 'unknown';
  /** `absent`: nothing was there to read or to delete. `mismatch`: what was there was not `expected`. Null without an answer. */
  readonly result: 'done' | 'absent' | 'mismatch' | null;
  readonly status?: number;
  readonly error?: string;
}

export function isMutation(operation: Operation): boolean {
  return operation.op !== 'read';
}

/** An answered operation that changed the key. */
export function changed(operation: Operation): boolean {
  return isMutation(operation) && operation.outcome === 'ok' && operation.result === 'done';
}

/** An answered read that found a value. */
export function saw(operation: Operation): boolean {
  return operation.op === 'read' && operation.outcome === 'ok' && operation.value !== null;
}

/** Whether the operation, made when `state` is the key's value (null: none), can be answered as it was. */
export function possible(operation: Operation, state: string | null): boolean {
  const { op, expected, result } = operation;
  if (op === 'read') return state === operation.value;
  if (result === 'mismatch') return expected === undefined || state !== expected;
  if (result === 'absent') return state === null;
  if (expected !== undefined && state !== expected) return false;
  return op === 'write' || state !== null;
}

export function groupBy<T, K>(items: Iterable<T>, keyOf: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
