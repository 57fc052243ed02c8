import type { Night } from '../history/night.ts';
import type { DrillReport } from './data.ts';

export interface StillRed {
  readonly scenario: string;
  /** When it was drilled last. */
  readonly at: string;
}

/**
 * What was red when it was drilled last on the same commit, and was not drilled now: a drill of other scenarios does not show that it
 * recovers. Nights in the order of time. Pure.
 */
export function stillRedOf({ commit, scenarios }: DrillReport, history: readonly Night[]): StillRed[] {
  const last = new Map<string, { readonly ok: boolean; readonly at: string }>();
  for (const night of history)
    for (const { name, ok } of commit !== null && night.commit === commit ? night.scenarios : [])
      last.set(name, { ok, at: night.at });
  const now = scenarios.map(({ name }) => name);
  return [...last].flatMap(([scenario, { ok, at }]) => (ok || now.includes(scenario) ? [] : [{ scenario, at }]));
}

/** A line for the report, if there is any. */
export function stillRedLine(all: readonly StillRed[]): string[] {
  const each = all.map(({ scenario, at }) => `${scenario} (${at.slice(0, 16).replace('T', ' ')} UTC)`);
  return each.length === 0 ? [] : [`**Still red on this commit, and not drilled now:** ${each.join(', ')}.`];
}
