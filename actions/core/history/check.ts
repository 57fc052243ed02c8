import { linearize } from './linearize.ts';
import { changed, groupBy, type Operation, saw } from './operation.ts';
import { splitBrains } from './primaries.ts';

/**
 * `lost`: an acknowledged write that a later answer did not show, although nothing can have replaced it. `overwritten`: the same,
 * after it had been seen: an older value came back. `twice`: applied twice (two versions of one write), or two compare-and-sets that
 * both replaced the same version. `unwritten`: a value that nobody wrote, or that was refused. `stale`: all changes are there in the
 * end, but a read on the way showed what was not so any more, or what was never to be. `order`: no order explains the answers, in
 * another way. `undecided`: the search was given up; nothing is proved. `split brain`: two primaries acknowledged at the same time.
 */
export type ViolationKind =
  | 'split brain'
  | 'lost'
  | 'overwritten'
  | 'twice'
  | 'unwritten'
  | 'stale'
  | 'order'
  | 'undecided';

export interface Violation {
  readonly kind: ViolationKind;
  readonly key: string;
  readonly what: string;
  /** Those that together prove it; the first is the one that was wronged. */
  readonly operations: readonly Operation[];
}

export interface Verdict {
  readonly ok: boolean;
  readonly violations: readonly Violation[];
  readonly keys: number;
  readonly operations: number;
  /** Changes that were acknowledged. */
  readonly acknowledged: number;
  /** Changes without a clear answer. */
  readonly unknown: number;
}

/**
 * Whether a complete history, reads after the end included, is what a correct store may answer: each key linearizable, with real
 * time, and one primary after the other. Keys must be fresh (absent before the first operation) and every written value unique. Pure.
 */
export function checkHistory(history: readonly Operation[]): Verdict {
  const keys = groupBy(history, (each) => each.key);
  const violations = [...splitBrains(history), ...[...keys].flatMap(([key, operations]) => checkKey(key, operations))];
  return {
    ok: violations.length === 0,
    violations,
    keys: keys.size,
    operations: history.length,
    acknowledged: history.filter(changed).length,
    unknown: history.filter((each) => each.op !== 'read' && each.outcome === 'unknown').length,
  };
}

function checkKey(key: string, operations: readonly Operation[]): Violation[] {
  const last = lastRead(operations);
  const plain = [...unwritten(operations, last), ...twice(operations), ...hidden(operations, last)];
  if (plain.length > 0) return plain.map((each) => ({ ...each, key }));
  const pair = crossed(operations);
  const { verdict, state, stuck } = pair ? { verdict: 'violated', state: null, stuck: [] } : linearize(operations);
  if (verdict === 'ok') return [];
  const proof = pair ?? {
    what: `at best the value is ${state} before: ${stuck.slice(0, 5).map(describe).join('; ')}`,
    operations: stuck,
  };
  if (verdict === 'undecided') return [{ kind: 'undecided', key, ...proof }];
  const changes = operations.filter((each) => each.op !== 'read' || each === last);
  return [{ kind: linearize(changes).verdict === 'ok' ? 'stale' : 'order', key, ...proof }];
}

function lastRead(operations: readonly Operation[]): Operation | undefined {
  const reads = operations.filter((each) => each.op === 'read' && each.outcome === 'ok');
  return reads.reduce<Operation | undefined>(
    (a, b) => (a === undefined || b.invokedAt > a.invokedAt ? b : a),
    undefined,
  );
}

type Finding = Omit<Violation, 'key'>;

function unwritten(operations: readonly Operation[], last: Operation | undefined): Finding[] {
  const writes = new Map(operations.flatMap((each) => (each.op === 'write' ? [[each.value, each] as const] : [])));
  return [...groupBy(operations.filter(saw), (read) => read.value)].flatMap(([value, reads]): Finding[] => {
    const [read] = reads;
    const write = writes.get(value);
    if (read === undefined) return [];
    if (write === undefined)
      return [{ kind: 'unwritten', what: `${value} was read, and nobody wrote it`, operations: [read] }];
    const early = reads.find((each) => write.invokedAt > each.completedAt);
    if (early !== undefined)
      return [{ kind: 'unwritten', what: `${value} was read before it was written`, operations: [early, write] }];
    if (write.outcome !== 'failed' && write.result !== 'mismatch') return [];
    // What a cut-off primary applied, and the next one did not, was there for a while.
    const kind = last?.value === value ? 'unwritten' : 'stale';
    return [{ kind, what: `${value} was read, and its write was refused`, operations: [read, write] }];
  });
}

function twice(operations: readonly Operation[]): Finding[] {
  const conditional = operations.filter((each) => changed(each) && typeof each.expected === 'string');
  const rivals = [...groupBy(conditional, (each) => each.expected)]
    .filter(([, group]) => group.length > 1)
    .map(
      ([expected, group]): Finding => ({
        kind: 'twice',
        what: `${group.length} changes replaced the same ${expected}`,
        operations: group,
      }),
    );
  const named = operations.filter((each) => each.etag !== null && each.value !== null && (saw(each) || changed(each)));
  const versions = [...groupBy(named, (each) => each.value)].flatMap(([value, group]): Finding[] => {
    const first = group[0];
    const other = group.find((each) => each.etag !== first?.etag);
    if (first === undefined || other === undefined) return [];
    const what = `${value} is there in two versions, ${first.etag} and ${other.etag}: its write was applied twice`;
    return [{ kind: 'twice', what, operations: [first, other] }];
  });
  return [...rivals, ...versions];
}

/** The acknowledged writes that the last read, after them, did not show, though all that it showed was done before them. */
function hidden(operations: readonly Operation[], last: Operation | undefined): Finding[] {
  if (last === undefined) return [];
  const mayVanish = (write: Operation): boolean =>
    operations
      .filter((each) => each.op === 'delete' && each.invokedAt <= last.completedAt)
      .some((each) => each.outcome === 'unknown' || (changed(each) && each.completedAt >= write.invokedAt));
  const shown = stretches(operations).get(last.value ?? '');
  const before = operations.find((each) => each.op === 'write' && each.value === last.value);
  return operations
    .filter((each) => each.op === 'write' && changed(each))
    .filter((write) => write.value !== last.value && write.completedAt < last.invokedAt)
    .filter((write) =>
      last.value === null ? !mayVanish(write) : shown !== undefined && shown.thereBy < write.invokedAt,
    )
    .map((write): Finding => {
      const seen = operations.find((each) => saw(each) && each.value === write.value);
      const what = `${write.value} was acknowledged${seen ? ' and seen' : ''}, and in the end there was ${last.value ?? 'nothing'}`;
      const proof = [write, ...(seen ? [seen] : []), last, ...(before ? [before] : [])];
      return { kind: seen ? 'overwritten' : 'lost', what, operations: proof };
    });
}

/** A value was there for one stretch of time: it began before `thereBy` and ended after `stillAt`. */
interface Stretch {
  readonly thereBy: number;
  readonly stillAt: number;
  readonly operations: readonly Operation[];
}

function stretches(operations: readonly Operation[]): Map<string, Stretch> {
  const named = operations.filter((each) => each.value !== null && (saw(each) || changed(each)));
  return new Map(
    [...groupBy(named, (each) => each.value ?? '')].map(([value, group]) => {
      const thereBy = Math.min(...group.map((each) => each.completedAt));
      const stillAt = Math.max(...group.map((each) => each.invokedAt));
      return [value, { thereBy, stillAt, operations: group }];
    }),
  );
}

/** Two values whose stretches fit in neither order: quickly found proof that no order of the operations fits. */
function crossed(operations: readonly Operation[]): { what: string; operations: Operation[] } | undefined {
  const all = [...stretches(operations)];
  for (const [value, one] of all)
    for (const [other, two] of all)
      if (one !== two && one.thereBy < two.stillAt && two.thereBy < one.stillAt)
        return {
          what: `${value} and ${other} were both there before the other`,
          operations: [...one.operations, ...two.operations],
        };
  return undefined;
}

/** One operation in a line, for a message. */
export function describe(each: Operation): string {
  const condition = each.expected === undefined ? '' : ` if ${each.expected ?? 'absent'}`;
  const answer = each.outcome === 'ok' ? each.result : each.outcome;
  const times = `${each.invokedAt.toFixed(1)} to ${each.completedAt.toFixed(1)} ms`;
  const by = each.primary ? ` by ${each.primary.slice(0, 8)}` : '';
  return `${each.op} ${each.value ?? ''}${condition}: ${answer}${by} (${each.requestId}, ${times})`;
}
