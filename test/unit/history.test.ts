import { describe, expect, it } from 'vitest';
import { checkHistory, type ViolationKind } from '../../actions/core/history/check.ts';
import { linearize } from '../../actions/core/history/linearize.ts';
import { type Operation, possible } from '../../actions/core/history/operation.ts';

let count = 0;

/** One operation on the key `k`, from `invokedAt` to `completedAt`. */
function operation(op: Operation['op'], invokedAt: number, completedAt: number, rest: Partial<Operation>): Operation {
  count += 1;
  const base = { process: count, op, key: 'k', value: null, etag: null, requestId: `id-${count}` };
  return { ...base, invokedAt, completedAt, outcome: 'ok', result: 'done', ...rest };
}
const write = (value: string, from: number, to: number, rest: Partial<Operation> = {}) =>
  operation('write', from, to, { value, ...rest });
const read = (value: string | null, from: number, to: number, rest: Partial<Operation> = {}) =>
  operation('read', from, to, { value, result: value === null ? 'absent' : 'done', ...rest });
const remove = (from: number, to: number, rest: Partial<Operation> = {}) => operation('delete', from, to, rest);
const cas = (expected: string | null, value: string, from: number, to: number, rest: Partial<Operation> = {}) =>
  write(value, from, to, { expected, ...rest });
const unknown = { outcome: 'unknown', result: null } as const;
const mismatch = { result: 'mismatch' } as const;

const kinds = (...history: Operation[]): ViolationKind[] => checkHistory(history).violations.map((each) => each.kind);

describe('a history that a correct store can give', () => {
  it.each<[string, Operation[]]>([
    ['is empty', []],
    ['shows each write after it', [write('a', 0, 1), read('a', 2, 3), write('b', 4, 5), read('b', 6, 7)]],
    [
      'orders overlapping writes as the reads say',
      [write('a', 0, 9), write('b', 1, 8), read('b', 2, 3), read('a', 4, 5)],
    ],
    [
      'shows an unanswered write, or not',
      [write('a', 0, 1), write('b', 2, 3, unknown), read('a', 4, 5), read('b', 6, 7)],
    ],
    ['never shows an unanswered write', [write('a', 0, 1), write('b', 2, 3, unknown), read('a', 9, 10)]],
    ['deletes', [write('a', 0, 1), remove(2, 3), read(null, 4, 5), remove(6, 7, { result: 'absent' })]],
    ['deletes without an answer', [write('a', 0, 1), remove(2, 3, unknown), read('a', 4, 5), read(null, 6, 7)]],
    [
      'takes one of two compare-and-sets',
      [write('a', 0, 1), cas('a', 'b', 2, 5), cas('a', 'c', 2, 5, mismatch), read('b', 6, 7)],
    ],
    ['creates once', [cas(null, 'a', 0, 4), cas(null, 'b', 0, 4, mismatch), read('a', 5, 6)]],
    [
      'refuses a condition because of a write that nobody saw',
      [write('a', 0, 1), write('b', 2, 3, unknown), cas('a', 'c', 4, 5, mismatch), write('d', 6, 7), read('d', 8, 9)],
    ],
    ['deletes what an unanswered write brought', [write('a', 0, 1, unknown), remove(2, 3), read(null, 4, 5)]],
    ['has a write that never was', [write('a', 0, 1, { outcome: 'failed', result: null }), read(null, 2, 3)]],
  ])('%s', (_, history) => expect(checkHistory(history).violations).toEqual([]));

  it('has hundreds of overlapping writes and reads, and is checked at once', () => {
    const values = Array.from({ length: 400 }, (_, index) => `v${index}`);
    const history = [
      ...values.map((value, index) => write(value, index / 1000, 100 + index / 1000)),
      ...values.slice(0, 50).map((value, index) => read(value, 10 + index, 10.5 + index)),
      read('v399', 200, 201),
      ...values.map((value, index) => write(`lost ${value}`, 300 + index / 1000, 400, unknown)),
      read('lost v17', 500, 501),
    ];
    expect(kinds(...history)).toEqual([]);
    expect(kinds(...history, read('v5', 600, 601))).toEqual(['stale']);
  });
});

describe('a fault is found and named:', () => {
  it.each<[string, ViolationKind[], Operation[]]>([
    ['an acknowledged write that is gone', ['lost'], [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5)]],
    ['an acknowledged write to a fresh key that is gone', ['lost'], [write('a', 0, 1), read(null, 2, 3)]],
    [
      'a write that was applied again after a later one that was seen',
      ['overwritten'],
      [write('a', 0, 1), write('b', 2, 3), read('b', 4, 5), read('a', 6, 7)],
    ],
    [
      'a retried write that came to rest over a later one',
      ['lost'],
      [write('a', 0, 9), read('a', 1, 2), write('b', 3, 4), read('a', 10, 11)],
    ],
    [
      'two compare-and-sets from one version',
      ['twice'],
      [write('a', 0, 1), cas('a', 'b', 2, 3), cas('a', 'c', 4, 5), read('c', 6, 7)],
    ],
    [
      'one write in two versions',
      ['twice'],
      [write('a', 0, 1, { etag: 'x' }), read('a', 2, 3, { etag: 'x' }), read('a', 4, 5, { etag: 'y' })],
    ],
    ['a value that nobody wrote', ['unwritten'], [write('a', 0, 1), read('b', 2, 3)]],
    ['a value whose write was refused', ['unwritten'], [cas('x', 'b', 0, 1, mismatch), read('b', 2, 3)]],
    [
      'a refused write that was seen for a while',
      ['stale'],
      [write('a', 0, 1), cas('x', 'b', 2, 9, mismatch), read('b', 3, 4), read('b', 5, 6), read('a', 10, 11)],
    ],
    ['a value before its time', ['unwritten'], [read('a', 0, 1), write('a', 2, 3)]],
    ['a read of a stale primary', ['stale'], [write('a', 0, 1), write('b', 2, 3), read('a', 4, 5), read('b', 6, 7)]],
    [
      'a read of what was never to be',
      ['stale'],
      [write('a', 0, 1), write('b', 2, 8, unknown), read('b', 3, 4), read('a', 9, 10)],
    ],
    [
      'a condition refused although it held',
      ['order'],
      [write('a', 0, 1), cas('a', 'b', 2, 3, mismatch), read('a', 4, 5)],
    ],
    ['a deleted value that came back', ['order'], [write('a', 0, 1), remove(2, 3), read('a', 4, 5)]],
    ['a delete of nothing that was acknowledged', ['order'], [remove(0, 1), read(null, 2, 3)]],
    [
      'an increment on a lost increment',
      ['lost', 'lost'],
      [cas(null, '1', 0, 1), cas('1', '2', 2, 3), read(null, 4, 5)],
    ],
  ])('%s', (_, expected, history) => {
    expect(kinds(...history)).toEqual(expected);
    for (const each of checkHistory(history).violations) expect(each.operations.length).toBeGreaterThan(0);
  });

  it('two primaries that acknowledge at the same time, whatever became of it', () => {
    const by = (primary: string | null, from: number, to: number) => ({
      ...write(`w${count}`, from, to, { primary }),
      key: `own-${count}`,
    });
    const handedOver = [by('a', 0, 1), by('a', 2, 30), by(null, 3, 4), by('b', 2, 31), by('b', 40, 41)];
    expect(kinds(...handedOver)).toEqual([]);
    const { violations } = checkHistory([...handedOver, by('a', 32, 50)]);
    expect(violations.map((each) => each.kind)).toEqual(['split brain']);
    expect(violations[0]?.what).toMatch(/^the primaries a and b acknowledged at the same time, for 1\.0 ms at least$/);
    expect(kinds(by('a', 0, 1), by('b', 2, 3), by('a', 4, 5), by('b', 6, 7))).toEqual(['split brain']);
    // A reign is over when another one has begun: it does not come back.
    expect(kinds(by('a', 0, 1), by('b', 2, 3), by('a', 4, 5))).toEqual(['split brain']);
    // Nobody answered for it, so nobody acknowledged it.
    expect(kinds(by('a', 0, 1), by('b', 2, 3), { ...by('a', 4, 5), ...unknown })).toEqual([]);
  });

  it('what a missing WAIT does: the tail that the promoted replica had not got', () => {
    const tail = Array.from({ length: 20 }, (_, index) => ({
      ...write(`v${index}`, index, index + 0.5),
      key: `once-${index}`,
    }));
    const after = tail.map((each, index) => ({ ...read(index < 17 ? each.value : null, 100, 101), key: each.key }));
    const { violations } = checkHistory([...tail, ...after]);
    expect(violations.map((each) => [each.kind, each.key])).toEqual([
      ['lost', 'once-17'],
      ['lost', 'once-18'],
      ['lost', 'once-19'],
    ]);
    expect(violations[0]?.operations.map((each) => each.op)).toEqual(['write', 'read']);
  });
});

describe('the search', () => {
  it('agrees with trying every order, on thousands of small histories right and wrong', () => {
    const random = generator(7);
    const verdicts = { ok: 0, violated: 0, undecided: 0 };
    for (let round = 0; round < 6000; round++) {
      const history = randomHistory(random);
      const { verdict } = linearize(history);
      verdicts[verdict] += 1;
      const right = anyOrder(history, null);
      expect(verdict === 'ok', JSON.stringify(history, null, 1)).toBe(right);
      // The quick proofs are true, and what they overlook the search finds.
      expect(checkHistory(history).ok, JSON.stringify(history, null, 1)).toBe(right);
    }
    expect(verdicts.undecided).toBe(0);
    expect(Math.min(verdicts.ok, verdicts.violated)).toBeGreaterThan(1000);
  });
});

/** Tries all orders; what is unknown may be left out. */
function anyOrder(left: readonly Operation[], state: string | null): boolean {
  const counts = left.filter((each) => each.outcome === 'ok');
  if (counts.length === 0) return true;
  const answered = Math.min(...counts.map((each) => each.completedAt));
  return left.some((each) => {
    if (each.outcome === 'failed' || (each.op === 'read' && each.outcome !== 'ok')) return false;
    if (each.invokedAt > answered || !possible(each, state)) return false;
    const changes = each.op !== 'read' && each.result !== 'mismatch' && each.result !== 'absent';
    const rest = left.filter((other) => other !== each);
    return anyOrder(rest, changes ? (each.op === 'write' ? each.value : null) : state);
  });
}

function randomHistory(random: () => number): Operation[] {
  const pick = (limit: number): number => Math.floor(random() * limit);
  const size = 2 + pick(6);
  const known = Array.from({ length: size }, (_, index) => `v${index}`);
  const any = (): string | null => (random() < 0.25 ? null : (known[pick(size)] ?? null));
  return known.map((value) => {
    const from = pick(12);
    const to = from + 1 + pick(6);
    const kind = random();
    const rest = random() < 0.25 ? unknown : {};
    if (kind < 0.4) return read(any(), from, to);
    if (kind < 0.65) return write(value, from, to, rest);
    if (kind < 0.85) return cas(any(), value, from, to, random() < 0.3 ? mismatch : rest);
    return remove(from, to, random() < 0.3 ? { result: 'absent' } : rest);
  });
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x80000000;
  };
}
