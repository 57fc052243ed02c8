import { rowOf, type ShownRow } from '../bench/report.ts';
import { median } from '../bench/statistics.ts';
import type { Round } from './measure.ts';
import { holdMs } from './settings.ts';

/** One line about a round. Pure. */
export function roundLine(number: number, round: Round): string {
  const time = (name: string, value: number | undefined): string =>
    value === undefined ? '' : `${name} ${Math.round(value)}, `;
  const times = [
    time('promoted', round.promoted),
    time('linked', round.linked),
    time('announced', round.announced),
    time('first write', round.answered),
  ].join('');
  const bad = `lost ${round.lost}, twice ${round.twice}, overwritten ${round.overwritten}, stale ${round.stale}, other ${round.inexplicable}`;
  const why = round.failures.length === 0 ? '' : ` (${round.failures.join(', ')})`;
  return `${number} ${round.fault}: ${times}longest wait ${Math.round(round.stalled)} ms, once recovered ${Math.round(round.stalledAgain)}; ${round.requests} requests, ${round.failed} failed${why}; ${round.acknowledged} acknowledged, ${bad}; load late ${Math.round(round.lagMs)} ms`;
}

/** Whether the service could not answer writes for longer than it holds them, whatever it did: its promise is off then. Pure. */
export function outlasted(round: Round): boolean {
  return (round.linked ?? 0) > holdMs;
}

/** What each fault cost, over its rounds. Without `goals` (the durability promises less) nothing is held to a goal. Pure. */
export function rowsOf(rounds: readonly Round[], goals: boolean): ShownRow[] {
  const names = [...new Set(rounds.map((round) => round.fault))];
  return names.flatMap((fault) => {
    const of = rounds.filter((round) => round.fault === fault);
    const sum = (value: (round: Round) => number): number => of.reduce((total, round) => total + value(round), 0);
    const times = (value: (round: Round) => number | undefined): number[] =>
      of.map(value).filter((each) => each !== undefined);
    const none = (metric: string, value: number): ShownRow =>
      row(`${fault}: ${metric}`, 'count', value, goals ? 0 : null);
    const middle = (metric: string, values: number[], goal: number | null = null): ShownRow[] =>
      values.length === 0 ? [] : [row(`${fault}: ${metric}, median`, 'ms', median(values), goals ? goal : null)];
    const toAnswer = (from: 'promoted' | 'linked') => (round: Round) =>
      round.answered === undefined || round[from] === undefined ? undefined : round.answered - round[from];
    const stalls = times((round) => round.stalled);
    return [
      row(`${fault}: rounds`, 'count', of.length, null),
      row(`${fault}: rounds longer than the hold deadline`, 'count', of.filter(outlasted).length, null),
      none(
        'failed requests in the others',
        sum((round) => (outlasted(round) ? 0 : round.failed)),
      ),
      none(
        'acknowledged writes lost',
        sum((round) => round.lost),
      ),
      none(
        'writes applied twice',
        sum((round) => round.twice),
      ),
      none(
        'writes overwritten by an older one',
        sum((round) => round.overwritten),
      ),
      none(
        'keys with a stale read',
        sum((round) => round.stale),
      ),
      none(
        'histories not explained otherwise',
        sum((round) => round.inexplicable),
      ),
      ...middle(
        'fault to promotion',
        times((round) => round.promoted),
      ),
      ...middle(
        'fault to first replica linked',
        times((round) => round.linked),
      ),
      ...middle(
        "fault to Sentinel's announcement",
        times((round) => round.announced),
      ),
      ...middle('promotion to first answered write', times(toAnswer('promoted'))),
      ...middle('first replica linked to first answered write', times(toAnswer('linked')), 100),
      ...middle('longest wait of a request', stalls),
      row(`${fault}: longest wait of a request, most`, 'ms', Math.max(...stalls), null),
      ...middle(
        'longest wait once recovered',
        times((round) => round.stalledAgain),
      ),
      row(`${fault}: longest wait once recovered, most`, 'ms', Math.max(...of.map((each) => each.stalledAgain)), null),
    ];
  });
}

function row(metric: string, unit: string, value: number, goal: number | null): ShownRow {
  return rowOf({ metric, unit, ours: Math.round(value * 10) / 10, ...(goal === null ? {} : { atMost: goal }) });
}
