import { lagOf, type ProbeLag, type Request, trustedLagMs } from '../probe/history.ts';
import type { ReadBack } from '../read-back.ts';
import { ms, plural } from '../report/text.ts';
import type { Scenario } from '../scenarios/index.ts';
import type { Phases } from '../timeline.ts';
import { lostWrites, staleReads } from './ledger.ts';
import { type Recovery, recoveryOf } from './recovery.ts';

/** All that was recorded of one run of a scenario; times on the controller's monotonic clock (ms). */
export interface Recording {
  /** When the node was told to break; `faultAt` is an estimate, and a failure between the two may be the fault's. */
  readonly toldAt: number;
  readonly faultAt: number;
  /** When healing began: what fails after that is healing's doing. */
  readonly healAt: number;
  readonly history: readonly Request[];
  readonly phases: Phases;
  readonly final: ReadBack;
}

export interface Verdict extends Recovery {
  readonly ok: boolean;
  /** Why not; empty when ok. Each a sentence without a full stop. */
  readonly reasons: readonly string[];
  readonly requests: number;
  readonly failedRequests: number;
  readonly unknownWrites: number;
  readonly ackedWrites: number;
  readonly lostWrites: number;
  readonly staleReads: number;
  readonly lag: ProbeLag;
}

/** Judges one run. Pure. */
export function judge(scenario: Pick<Scenario, 'failover'>, budgetMs: number, recording: Recording): Verdict {
  const { history, toldAt, faultAt, healAt, phases, final } = recording;
  const recovery = recoveryOf(history, faultAt, healAt);
  const failed = history.filter((request) => request.outcome !== 'ok');
  const views = 'unread' in final ? [] : [final.throughBalancer, final.atPrimary];
  const lost = new Set(views.flatMap((view) => lostWrites(history, view).map((anomaly) => anomaly.request.id)));
  const stale = staleReads(history);
  const lag = lagOf(history.filter((request) => request.intendedAt < healAt));
  const before = failed.filter((request) => request.endedAt < toldAt);
  const whileHealing = failed.filter((request) => request.intendedAt >= healAt).length;
  const switched = phases.announcedMs !== null || phases.promotedMs !== null;

  const reasons = [
    said(recovery.recoveryMs > budgetMs, `recovery took ${ms(recovery.recoveryMs)}, the budget is ${ms(budgetMs)}`),
    said(lost.size > 0, `${plural(lost.size, 'acknowledged write')} lost`),
    'unread' in final ? `whether writes were lost is unknown, they could not be read back: ${final.unread}` : undefined,
    said(stale.length > 0, `${plural(stale.length, 'read')} did not show what had been acknowledged before`),
    said(scenario.failover === 'expected' && !switched, 'no failover happened, but one was expected'),
    said(scenario.failover === 'forbidden' && switched, 'a failover happened that nothing called for'),
    said(
      before.length > 0,
      `${plural(before.length, 'request')} failed before the fault (the last ${ms(toldAt - Math.max(...before.map((each) => each.endedAt)))} before), so the figures are not the fault's alone`,
    ),
    said(whileHealing > 0, `${plural(whileHealing, 'request')} failed while the fault was being undone`),
    said(
      lag.p99Ms > trustedLagMs || lag.maxMs > budgetMs / 2,
      `the probe itself was late (p99 ${ms(lag.p99Ms)}, at most ${ms(lag.maxMs)}): the recovery was not measured`,
    ),
    said(history.length === 0, 'the probe made no request: nothing was measured'),
  ].filter((reason) => reason !== undefined);

  return {
    ...recovery,
    ok: reasons.length === 0,
    reasons,
    requests: history.length,
    failedRequests: failed.length,
    unknownWrites: failed.filter((request) => request.op === 'write' && request.outcome === 'unknown').length,
    ackedWrites: history.filter((request) => request.op === 'write' && request.outcome === 'ok').length,
    lostWrites: lost.size,
    staleReads: stale.length,
    lag,
  };
}

function said(applies: boolean, reason: string): string | undefined {
  return applies ? reason : undefined;
}
