import type { Operation } from './operation.ts';

/** One request to be made. */
export interface Step {
  readonly process: number;
  readonly op: Operation['op'];
  readonly key: string;
  readonly value: string | null;
  /** Compare-and-set: the version that must be there, as its tag and its value; null: only when nothing is there. */
  readonly condition?: { readonly etag: string; readonly value: string } | null;
  /** Undefined: the load balancer gives it one. */
  readonly requestId: string | undefined;
}

export interface Workload {
  /** The next request, of a client that is free. */
  next(): Step;
  /** Has to be told of every end. */
  ended(operation: Operation): void;
  /** The counters' keys. */
  readonly counters: readonly string[];
}

const sharedKeys = 4;
const counterKeys = 4;
const recentKeys = 256;

/**
 * What clients ask for, so that their history proves something; every value is written once. Half of the writes go to keys that are written only once: on a key that is
 * written again and again a later write would cover up a loss. The others go to keys of one client (with deletes), to keys that all
 * share, and to counters that are incremented by compare-and-set, where a write that happens twice or is undone shows.
 * @param run what keys and values of this run begin with, unlike any other's
 */
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

  const choose = (process: number): Omit<Step, 'process' | 'requestId'> => {
    const pick = random();
    const value = `${run}-${count}`;
    const own = `${run}-client-${process}`;
    if (pick < 0.27) return { op: 'write', key: `${run}-once-${count}`, value };
    if (pick < 0.36) return { op: 'write', key: own, value };
    if (pick < 0.4) return { op: 'delete', key: own, value: null };
    if (pick < 0.5) return { op: 'read', key: own, value: null };
    if (pick < 0.59) return { op: 'write', key: shared(), value };
    if (pick < 0.69) return { op: 'read', key: shared(), value: null };
    if (pick < 0.9) return { op: 'read', key: oneOf(recent) || shared(), value: null };
    const key = oneOf(counters);
    const version = seen.get(key);
    if (version === undefined) return { op: 'read', key, value: null };
    const number = version === null ? 0 : Number(version.value.split(' ')[0]);
    return { op: 'write', key, value: `${number + 1} ${value}`, condition: version };
  };

  return {
    counters,
    next() {
      count += 1;
      const process = free.pop() ?? clients++;
      const step = choose(process);
      if (step.op === 'write') recent.push(step.key);
      if (recent.length > recentKeys) recent.shift();
      // Every other client names its changes itself; the load balancer names the others'.
      const named = step.op !== 'read' && process % 2 === 1;
      return { ...step, process, requestId: named ? `${run}-${count}` : undefined };
    },
    ended({ process, key, value, etag, outcome, result }) {
      free.push(process);
      if (!counters.includes(key)) return;
      if (outcome !== 'ok' || result === 'mismatch') seen.set(key, undefined);
      else if (result === 'absent') seen.set(key, null);
      else seen.set(key, etag === null || value === null ? undefined : { etag, value });
    },
  };
}

/** mulberry32: the same sequence for the same seed, so a run can be looked at again. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
