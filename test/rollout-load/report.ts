import { rowOf, type ShownRow } from '../bench/report.ts';
import { median } from '../bench/statistics.ts';
import type { Round } from './measure.ts';

/** The longest that a client may wait (ms): for any answer, and during the planned handover in 95 of 100. */
const stallGoalMs = 400;
const handoverGoalMs = 300;

/** A round as a line. Pure. */
export function roundLine(number: number, round: Round): string {
  const stalls = round.stalls.slice(0, 4).map((each) => `${each.ms} ms in ${each.node}'s ${each.phase}`);
  return [
    `${String(number).padStart(2)}: ${(round.ms / 1000).toFixed(1)} s, ${round.units} units`,
    `${round.failed} of ${round.requests} requests failed`,
    `${round.lost} of ${round.acknowledged} acknowledged writes lost`,
    `handover: paused ${round.pausedMs} ms, waited ${round.handoverStallMs} ms`,
    `longest: ${stalls.join(', ') || 'none'}`,
    `probe late by ${round.lagMs} ms, ${round.lagMaxMs} at most`,
    ...(round.error === null ? [] : [`THE ROLLOUT FAILED: ${round.error}`]),
  ].join('; ');
}

/** The figures of all rounds, with their goals. Pure. */
export function rowsOf(rounds: readonly Round[]): ShownRow[] {
  const sum = (of: (round: Round) => number): number => rounds.reduce((total, round) => total + of(round), 0);
  const none = (metric: string, ours: number): ShownRow => budgeted(metric, 'count', ours, 0);
  const stalls = rounds.map((round) => round.stalls[0]?.ms ?? 0);
  const worst = rounds.flatMap((round) => round.stalls).sort((a, b) => b.ms - a.ms)[0];
  const handovers = rounds.map((round) => round.handoverStallMs).sort((a, b) => a - b);
  const plain = (metric: string, unit: string, ours: number): ShownRow => rowOf({ metric, unit, ours });
  return [
    plain('rollouts', 'count', rounds.length),
    none(
      'rollouts that failed',
      sum((round) => (round.error === null ? 0 : 1)),
    ),
    plain(
      'requests',
      'count',
      sum((round) => round.requests),
    ),
    none(
      'failed requests',
      sum((round) => round.failed),
    ),
    plain(
      'acknowledged writes',
      'count',
      sum((round) => round.acknowledged),
    ),
    none(
      'lost acknowledged writes',
      sum((round) => round.lost),
    ),
    none(
      'answers that fit in no order',
      sum((round) => round.wrong),
    ),
    plain('longest stall, median', 'ms', median(stalls)),
    budgeted('longest stall', 'ms', Math.max(...stalls), stallGoalMs, worst && `${worst.node}: ${worst.phase}`),
    plain('stall of the handover, median', 'ms', median(handovers)),
    budgeted(
      'stall of the handover, p95',
      'ms',
      handovers[Math.ceil(handovers.length * 0.95) - 1] ?? 0,
      handoverGoalMs,
    ),
    plain('the probe itself late by, not counted above', 'ms', Math.max(...rounds.map((round) => round.lagMaxMs))),
    plain('rollout, median', 's', median(rounds.map((round) => round.ms / 1000))),
  ];
}

/** A figure with a fixed limit. A limit of 0 has no ratio. */
export function budgeted(metric: string, unit: string, ours: number, budget: number, note = ''): ShownRow {
  const met = { atMost: 1, orElse: ours <= budget };
  return {
    ...rowOf({ metric, unit, ours, peer: 'budget', peerValue: budget, note, ...met }),
    ratio: budget === 0 ? null : ours / budget,
  };
}
