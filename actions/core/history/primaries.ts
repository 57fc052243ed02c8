import type { Violation } from './check.ts';
import { changed, groupBy, type Operation } from './operation.ts';

/**
 * Under one replication ID. `first` was answered before all others, `last` was sent after all others: from the end of the one to the
 * start of the other this Redis surely was primary. With few changes that may be no time at all, and `last` may be sent before that end.
 */
interface Reign {
  readonly primary: string;
  readonly first: Operation;
  readonly last: Operation;
}

/** The reigns of all that acknowledged changes, in the order in which they began. Changes of which nobody says who acknowledged are left out. Pure. */
export function reignsOf(history: readonly Operation[]): Reign[] {
  const told = history.filter((each) => changed(each) && Boolean(each.primary));
  return [...groupBy(told, (each) => each.primary ?? '')]
    .map(([primary, all]) => ({
      primary,
      first: all.reduce((first, each) => (each.completedAt < first.completedAt ? each : first)),
      last: all.reduce((last, each) => (each.invokedAt > last.invokedAt ? each : last)),
    }))
    .sort((a, b) => a.first.completedAt - b.first.completedAt);
}

/**
 * Two that acknowledged at the same time. One reign follows another when all that the one acknowledged can have been before all that the
 * other did: each acknowledgement happened at some moment between the request and its answer. No reign comes back: a Redis gives itself
 * another replication ID when it is promoted, and when it starts as primary (Redis, INFO replication, master_replid). Pure.
 */
export function splitBrains(history: readonly Operation[]): Violation[] {
  const reigns = reignsOf(history);
  return reigns.flatMap((one, index) =>
    reigns
      .slice(index + 1)
      .filter((other) => one.last.invokedAt > other.first.completedAt && other.last.invokedAt > one.first.completedAt)
      .map((other): Violation => {
        const from = Math.max(one.first.completedAt, other.first.completedAt);
        const togetherMs = Math.max(0, Math.min(one.last.invokedAt, other.last.invokedAt) - from);
        return {
          kind: 'split brain',
          key: one.last.key,
          what: `the primaries ${one.primary.slice(0, 8)} and ${other.primary.slice(0, 8)} acknowledged at the same time, for ${togetherMs.toFixed(1)} ms at least`,
          operations: [one.last, other.first, other.last, one.first],
        };
      }),
  );
}
