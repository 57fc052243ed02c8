import type { Operation } from '../../actions/core/history/operation.ts';
import type { Request } from './client.ts';

/**
 * What the clients ask for. Every value is written once. Half of the writes go to keys that are written only once, since a later
 * write would cover up a loss; the others to keys of one client (with deletes), to keys that all share, and to counters that are
 * incremented by compare-and-set from the version that anybody saw last.
 */
export interface Workload {
  /** The next request, of a client that is free. */
  next(): Request;
  /** Has to be told of every end. */
  ended(operation: Operation): void;
  /** The counters' keys. */
  readonly counters: readonly string[];
}

const sharedKeys = 4;
const counterKeys = 4;
const recentKeys = 128;

export function workload(run: string, seed = 1): Workload {
  const random = generator(seed);
  const free: number[] = [];
  const recent: string[] = [];
  const counters = Array.from({ length: counterKeys }, (_, index) => `${run}-counter-${index}`);
  /** The version of a counter that was seen last; null: none is there; undefined: somebody has to look. */
  const seen = new Map<string, { etag: string; value: string } | null | undefined>();
  let clients = 0;
  let count = 0;
  const oneOf = (keys: readonly string[]): string => keys[Math.floor(random() * keys.length)] ?? '';
  const shared = (): string => `${run}-shared-${Math.floor(random() * sharedKeys)}`;

  const choose = (process: number): Omit<Request, 'process' | 'requestId'> => {
    const pick = random();
    const value = `${run}-${count}`;
    if (pick < 0.3) return { op: 'write', key: `${run}-once-${count}`, value };
    if (pick < 0.4) return { op: 'write', key: `${run}-own-${process}`, value };
    if (pick < 0.45) return { op: 'delete', key: `${run}-own-${process}` };
    if (pick < 0.5) return { op: 'read', key: `${run}-own-${process}` };
    if (pick < 0.65) return { op: 'write', key: shared(), value };
    if (pick < 0.8) return { op: 'read', key: shared() };
    if (pick < 0.85) return { op: 'read', key: oneOf(recent) || shared() };
    const key = oneOf(counters);
    const version = seen.get(key);
    if (version === undefined) return { op: 'read', key };
    const number = version === null ? 0 : Number(version.value.split(' ')[0]);
    return { op: 'write', key, value: `${number + 1} ${value}`, expected: version };
  };

  return {
    counters,
    next() {
      count += 1;
      const process = free.pop() ?? clients++;
      const chosen = choose(process);
      if (chosen.op === 'write') recent.push(chosen.key);
      if (recent.length > recentKeys) recent.shift();
      // Every other client names its writes itself; the load balancer names the others'.
      return {
        ...chosen,
        process,
        ...(chosen.op === 'read' || process % 2 === 0 ? {} : { requestId: `${run}-${count}` }),
      };
    },
    ended(operation) {
      free.push(operation.process);
      const { key, value, etag, outcome, result } = operation;
      if (!counters.includes(key)) return;
      if (outcome !== 'ok' || result === 'mismatch') seen.set(key, undefined);
      else if (result === 'absent') seen.set(key, null);
      else seen.set(key, etag === null || value === null ? undefined : { etag, value });
    },
  };
}

/** mulberry32: the same sequence for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
