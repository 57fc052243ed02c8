import { changed, groupBy, isMutation, type Operation, possible, saw } from './operation.ts';

/** Whether one order of a key's operations explains every answer; if none does, how far the best attempt came. */
export interface Linearization {
  /** `undecided`: the search was given up after `maxSteps`. */
  readonly verdict: 'ok' | 'violated' | 'undecided';
  /** Of the attempt that placed most operations: the value at its end, and the operations that had to come next and could not. */
  readonly state: string | null;
  readonly stuck: readonly Operation[];
}

/** A value that nobody saw: which one does not matter. No real value begins like this. */
const unseen = '\u0000unseen';

/** A point of the search. `low`: all completed operations before this index are placed; `ahead`: those placed after it. */
interface Point {
  low: number;
  readonly ahead: Set<number>;
  state: string | null;
  /** How many of each kind of optional operation were placed. */
  readonly used: readonly number[];
}

/**
 * Searches a linearization of the operations of one key: an order, in which none comes before one that was answered before it was
 * asked for, and in which each has the answer that a register would give. (Wing and Gong's search with Lowe's memory of points that
 * led nowhere.) What has no effect is placed as soon as it fits, so only the order of changes is searched; as every value is written
 * once, a value that will still be seen can't be replaced yet, and one that a compare-and-set replaced is replaced by that one.
 * Without deletes the first attempt is then nearly always right, however many writes overlap.
 */
export function linearize(
  operations: readonly Operation[],
  initial: string | null = null,
  maxSteps = 200_000,
): Linearization {
  const { certain, optional } = prepare(operations);
  const seenBy = groupBy(
    certain.filter((each) => saw(each.operation)),
    (each) => each.operation.value,
  );
  const replacedBy = groupBy(
    certain.filter(
      ({ operation }) => isMutation(operation) && operation.result !== 'mismatch' && operation.expected !== undefined,
    ),
    ({ operation }) => operation.expected,
  );
  const dead = new Set<string>();
  const stack: Point[] = [{ low: 0, ahead: new Set(), state: initial, used: optional.map(() => 0) }];
  let best: { placed: number; state: string | null; stuck: Operation[] } = { placed: -1, state: initial, stuck: [] };
  for (let steps = 0; steps < maxSteps; steps++) {
    const point = stack.pop();
    if (point === undefined) return { verdict: 'violated', state: best.state, stuck: best.stuck };
    const window = settle(point);
    if (point.low === certain.length) return { verdict: 'ok', state: point.state, stuck: [] };
    const key = `${point.low}|${[...point.ahead].sort((a, b) => a - b)}|${point.used}|${point.state}`;
    if (dead.has(key)) continue;
    dead.add(key); // it leads to success below, or never needs to be looked at again
    const placed = point.low + point.ahead.size;
    if (placed > best.placed)
      best = { placed, state: point.state, stuck: window.map((index) => at(certain, index).operation) };
    stack.push(...branches(point, window).reverse());
  }
  return { verdict: 'undecided', state: best.state, stuck: best.stuck };

  /** Places every operation without effect that fits; gives those that may come next. */
  function settle(point: Point): number[] {
    for (;;) {
      const window = nextOnes(point);
      const fits = window.filter((index) => {
        const { operation } = at(certain, index);
        return !hasEffect(operation) && possible(operation, point.state);
      });
      if (fits.length === 0) return window;
      for (const index of fits) place(point, index);
    }
  }

  /** The operations asked for before any that is left was answered. */
  function nextOnes(point: Point): number[] {
    const left: number[] = [];
    let answered = Number.POSITIVE_INFINITY;
    for (let index = point.low; index < certain.length; index++) {
      const each = at(certain, index);
      if (each.operation.invokedAt > answered) break;
      if (point.ahead.has(index)) continue;
      left.push(index);
      answered = Math.min(answered, each.answeredAt);
    }
    return left.filter((index) => at(certain, index).operation.invokedAt <= answered);
  }

  function branches(point: Point, window: readonly number[]): Point[] {
    const { state } = point;
    const placed = (each: Certain): boolean => each.index < point.low || point.ahead.has(each.index);
    if (state !== null && seenBy.get(state)?.some((each) => !placed(each))) return [];
    const successor = state === null ? undefined : replacedBy.get(state)?.find((each) => !placed(each));
    const changes = window
      .map((index) => at(certain, index))
      .filter((each) => hasEffect(each.operation) && possible(each.operation, state))
      .filter((each) => successor === undefined || each === successor)
      // The one that must be done first is the likeliest to come first.
      .sort((a, b) => a.answeredAt - b.answeredAt)
      .map(({ index, operation }) => {
        const next = {
          ...point,
          ahead: new Set(point.ahead),
          state: operation.op === 'delete' ? null : operation.value,
        };
        place(next, index);
        return next;
      });
    return [...changes, ...(successor === undefined ? guesses(point, window) : [])];
  }

  /** What may have happened unanswered and unseen. It explains an answer that comes right after it, or nothing. */
  function guesses(point: Point, window: readonly number[]): Point[] {
    const horizon = Math.min(...window.map((index) => at(certain, index).answeredAt));
    return optional.flatMap((kind, number) => {
      const next = kind[point.used[number] ?? 0];
      const after = kind[0]?.op === 'delete' ? null : unseen;
      if (next === undefined || next.invokedAt > horizon || !possible(next, point.state)) return [];
      const explains = window.some((index) => {
        const { operation } = at(certain, index);
        return !possible(operation, point.state) && possible(operation, after);
      });
      if (!explains) return [];
      const used = point.used.map((count, each) => (each === number ? count + 1 : count));
      return [{ ...point, ahead: new Set(point.ahead), used, state: after }];
    });
  }

  function place(point: Point, index: number): void {
    point.ahead.add(index);
    while (point.ahead.delete(point.low)) point.low += 1;
  }
}

/** An operation that has its place in the order for sure, and the time at which it had it at the latest. */
interface Certain {
  readonly index: number;
  readonly operation: Operation;
  readonly answeredAt: number;
}

/**
 * What certainly happened: what was answered, and writes without an answer whose value was seen. The other unanswered changes may
 * have happened; those that do the same are one kind, and of a kind the earliest is always as good as any.
 */
function prepare(operations: readonly Operation[]): { certain: Certain[]; optional: Operation[][] } {
  const seenAt = new Map<string, number>();
  const replaces = new Map(operations.map((each) => [each.value, each.op === 'write' ? each.expected : undefined]));
  /** What was replaced by a seen value was there before it. */
  const see = (value: string | null | undefined, time: number): void => {
    if (typeof value !== 'string' || (seenAt.get(value) ?? Number.POSITIVE_INFINITY) <= time) return;
    seenAt.set(value, time);
    see(replaces.get(value), time);
  };
  for (const each of operations) {
    if (saw(each)) see(each.value, each.completedAt);
    if (changed(each)) see(each.expected, each.completedAt);
  }
  const certain: Omit<Certain, 'index'>[] = [];
  const optional: Operation[] = [];
  for (const operation of [...operations].sort((a, b) => a.invokedAt - b.invokedAt)) {
    const shown = operation.op === 'write' && operation.value !== null ? seenAt.get(operation.value) : undefined;
    if (operation.outcome === 'ok')
      certain.push({ operation, answeredAt: Math.min(operation.completedAt, shown ?? Infinity) });
    else if (operation.outcome === 'unknown' && shown !== undefined) certain.push({ operation, answeredAt: shown });
    else if (operation.outcome === 'unknown' && isMutation(operation)) optional.push(operation);
  }
  const kinds = groupBy(
    optional,
    (each) => `${each.op} ${each.expected === undefined ? '' : JSON.stringify(each.expected)}`,
  );
  return { certain: certain.map((each, index) => ({ ...each, index })), optional: [...kinds.values()] };
}

/** A read, a refused condition or a delete of nothing changes nothing. */
function hasEffect(operation: Operation): boolean {
  return isMutation(operation) && operation.result !== 'mismatch' && operation.result !== 'absent';
}

function at(certain: readonly Certain[], index: number): Certain {
  const each = certain[index];
  if (each === undefined) throw new RangeError(`no operation ${index}`);
  return each;
}
