import { checkHistory, type Verdict, type Violation } from '../../actions/core/history/check.ts';
import { changed, type Operation } from '../../actions/core/history/operation.ts';
import { mostFrequent } from '../bench/failures.ts';
import type { Marks } from './watch.ts';

/** One round, as data; times in ms from the fault. */
export interface Round {
  readonly fault: string;
  readonly requests: number;
  /** Not answered as asked: 503, no answer, anything that is not the service's doing its work. */
  readonly failed: number;
  /** Until the last of these had ended, or undefined when there were none. */
  readonly failedUntil?: number;
  readonly failures: readonly string[];
  readonly acknowledged: number;
  /** The longest that one request took. */
  readonly stalled: number;
  /** The longest that one took which was sent after the first write was answered again: a second stall. */
  readonly stalledAgain: number;
  readonly promoted?: number;
  readonly linked?: number;
  readonly announced?: number;
  /** The first write answered after the promotion; without one, the first that was sent after the fault. */
  readonly answered?: number;
  readonly lost: number;
  readonly twice: number;
  readonly overwritten: number;
  /** Keys with a read that showed what was not so any more, or a change that was never acknowledged and is gone. */
  readonly stale: number;
  /** Whatever else the history can't be explained by. */
  readonly inexplicable: number;
  readonly proofs: readonly string[];
  /** The load's own lateness. */
  readonly lagMs: number;
}

export interface Observed {
  readonly fault: string;
  readonly history: readonly Operation[];
  /** Reads of every key after the end. */
  readonly readBack: readonly Operation[];
  readonly counters: readonly string[];
  readonly faultAt: number;
  /** From the fault to then nothing that was sent may be acknowledged. */
  readonly silentUntil?: number;
  readonly marks: Marks;
  readonly lagMs: number;
}

/** The figures of a round. Pure. */
export function measure(seen: Observed): Round {
  const { history, faultAt, marks } = seen;
  const verdict = checkHistory([...history, ...seen.readBack]);
  const extra = [...wrongCounters(seen), ...tooSoon(seen)];
  const violations = [...verdict.violations, ...extra];
  const count = (...kinds: Violation['kind'][]): number =>
    violations.filter((each) => kinds.includes(each.kind)).length;
  const failures = history.filter((each) => each.outcome !== 'ok');
  const since = (time: number | undefined): number | undefined =>
    time === undefined ? undefined : round(time - faultAt);
  const answered = history
    .filter(
      (each) =>
        changed(each) &&
        (marks.promotedAt === undefined ? each.invokedAt > faultAt : each.completedAt > marks.promotedAt),
    )
    .reduce((first, each) => Math.min(first, each.completedAt), Number.POSITIVE_INFINITY);
  const times = {
    promoted: since(marks.promotedAt),
    linked: since(marks.linkedAt),
    announced: since(marks.announcedAt),
    answered: Number.isFinite(answered) ? since(answered) : undefined,
    failedUntil: failures.length === 0 ? undefined : since(Math.max(...failures.map((each) => each.completedAt))),
  };
  return {
    fault: seen.fault,
    requests: history.length,
    failed: failures.length,
    failures: mostFrequent(failures),
    acknowledged: verdict.acknowledged,
    stalled: longest(history),
    stalledAgain: longest(history.filter((each) => each.invokedAt > Math.max(answered, faultAt))),
    ...(Object.fromEntries(Object.entries(times).filter(([, time]) => time !== undefined)) as Partial<typeof times>),
    lost: count('lost'),
    twice: count('twice'),
    overwritten: count('overwritten'),
    stale: count('stale'),
    inexplicable: count('split brain', 'unwritten', 'order', 'undecided'),
    proofs: violations.map((each) => `${each.kind}: ${each.key}: ${each.what}`),
    lagMs: round(seen.lagMs),
  } as Round;
}

/** A counter must show every acknowledged increment, and none twice; those without an answer may be in it. */
function wrongCounters(seen: Observed): Verdict['violations'][number][] {
  return seen.counters.flatMap((key): Violation[] => {
    const increments = seen.history.filter((each) => each.key === key && each.op === 'write');
    const sure = increments.filter(changed).length;
    const most = sure + increments.filter((each) => each.outcome === 'unknown').length;
    const last = seen.readBack.find((each) => each.key === key && each.outcome === 'ok');
    const value = Number((last?.value ?? '0').split(' ')[0]);
    if (last === undefined || (value >= sure && value <= most)) return [];
    const what = `${sure} increments were acknowledged, ${most - sure} are unknown, and the counter is at ${value}`;
    return [{ kind: value < sure ? 'lost' : 'twice', key, what, operations: [last] }];
  });
}

/** Changes sent and acknowledged while no replica could have had them. */
function tooSoon({ history, faultAt, silentUntil }: Observed): Violation[] {
  if (silentUntil === undefined) return [];
  return history
    .filter((each) => changed(each) && each.invokedAt > faultAt && each.completedAt < silentUntil)
    .map((each) => ({
      kind: 'lost',
      key: each.key,
      what: 'acknowledged while no replica could have it',
      operations: [each],
    }));
}

/** The longest that one of them took, in ms. */
function longest(operations: readonly Operation[]): number {
  return round(Math.max(0, ...operations.map((each) => each.completedAt - each.invokedAt)));
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
