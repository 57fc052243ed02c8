import { checkHistory, type Violation, type ViolationKind } from '../../core/history/check.ts';
import { reignsOf } from '../../core/history/primaries.ts';
import type { FiredAlert } from '../alerts.ts';
import { acknowledged, lagOf, operationOf, type ProbeLag, type Request, trustedLagMs } from '../probe/history.ts';
import type { ReadBack } from '../read-back.ts';
import { ms, plural } from '../report/text.ts';
import type { Scenario } from '../scenarios/index.ts';
import type { Phases } from '../timeline.ts';
import { type Recovery, recoveryOf } from './recovery.ts';

/** All that was recorded of one run of a scenario; times on the controller's monotonic clock (ms). */
export interface Recording {
  /** When the first node was told to break; `faultAt` is an estimate, and a failure between the two may be the fault's. */
  readonly toldAt: number;
  readonly faultAt: number;
  /** When healing began: what fails after that is healing's doing. */
  readonly healAt: number;
  readonly history: readonly Request[];
  readonly phases: Phases;
  readonly final: ReadBack;
  readonly alerts: AlertsSeen;
  /** What a deploy of the drill's own did that it must not; each without a full stop. */
  readonly objections?: readonly string[];
}

/** What Prometheus said between the fault and its end. */
export interface AlertsSeen {
  /** Undefined: there is none; empty: it has no rules. Then no alert is judged. */
  readonly rules: ReadonlySet<string> | undefined;
  /** Why it could not be asked. */
  readonly unheard?: string;
  readonly fired: readonly FiredAlert[];
}

export interface SeenAlert {
  readonly name: string;
  /** From the fault, ms. */
  readonly firedMs: number;
  /** From the fault to its end, ms; null when it fired still when the run ended. */
  readonly overMs: number | null;
}

export interface Verdict extends Recovery {
  readonly ok: boolean;
  /** Why not; empty when ok. Each a sentence without a full stop. */
  readonly reasons: readonly string[];
  readonly requests: number;
  readonly failedRequests: number;
  /** Of what kind they were, the most frequent first: `12 x write 503`. */
  readonly failures: readonly string[];
  readonly unknownWrites: number;
  readonly ackedWrites: number;
  /** Replication IDs under which changes were acknowledged, one after the other where it is ok; null: the service does not say who did. */
  readonly primaries: number | null;
  /** Acknowledged changes that are gone, and those that an older value came back over. */
  readonly lostWrites: number;
  /** Keys with a read on the way that showed what was not so any more. Reads are no part of the promise. */
  readonly staleReads: number;
  /** Failovers that nothing called for. */
  readonly falseFailovers: number;
  /** What the history can't be explained with, as the checker says it, the worst first. */
  readonly violations: readonly Violation[];
  readonly lag: ProbeLag;
  /** The alert that had to fire, or one that had not. */
  readonly alert: SeenAlert | null;
}

/** Of the budget: a probe that is late by less makes no red of a green. */
const trustedLagShare = 0.05;

type Judged = Pick<Scenario, 'failovers' | 'recovery' | 'mayFail' | 'alert'>;

/** Judges one run. Pure. */
export function judge(scenario: Judged, budgetMs: number, recording: Recording): Verdict {
  const { history, toldAt, healAt, phases, final } = recording;
  const seen = recoveredFrom(scenario, budgetMs, recording);
  const failed = history.filter((request) => request.outcome !== 'ok');
  const operations = [...history.map(operationOf), ...('unread' in final ? [] : final.reads)];
  const { violations } = checkHistory(operations);
  const count = (...kinds: ViolationKind[]): number => violations.filter((each) => kinds.includes(each.kind)).length;
  const lost = count('lost', 'overwritten');
  const lag = lagOf(history.filter((request) => request.intendedAt < healAt));
  const before = failed.filter((request) => request.endedAt < toldAt);
  const outage = scenario.recovery === 'return';
  const whileHealing = outage ? 0 : failed.filter((request) => request.intendedAt >= healAt).length;
  const excused = failed.filter((request) => isExcused(scenario, request, recording)).length;
  const during = failed.length - before.length - whileHealing - excused;
  const switched = phases.announcedMs !== null || phases.promotedMs !== null;
  const noFailover = typeof scenario.failovers === 'number' && scenario.failovers > 0 && !switched;
  const probeLate = lag.p99Ms > Math.max(trustedLagMs, budgetMs * trustedLagShare) || lag.maxMs > budgetMs / 2;
  // What did not happen took no time either: such a 0 would make the fleet's history better than it is.
  const recovery = probeLate || (noFailover && seen.recoveryMs === 0) ? { ...seen, recoveryMs: null } : seen;

  const reasons = [
    ...(recording.objections ?? []),
    late(scenario, recovery, budgetMs),
    tooManyFailed(scenario.mayFail, during),
    said(count('split brain') > 0, 'two primaries acknowledged writes at the same time'),
    said(lost > 0, `${plural(lost, 'acknowledged write')} lost`),
    said(count('twice') > 0, `${plural(count('twice'), 'write')} applied twice`),
    said(count('unwritten') > 0, `${plural(count('unwritten'), 'value')} that nobody wrote, or that was refused`),
    said(count('order') > 0, `the answers on ${plural(count('order'), 'key')} fit no order`),
    said(count('undecided') > 0, `whether ${plural(count('undecided'), 'key')} was treated well can't be decided`),
    'unread' in final ? `whether writes were lost is unknown, they could not be read back: ${final.unread}` : undefined,
    wrongAlert(scenario.alert, recording.alerts),
    wrongFailovers(scenario.failovers, phases.failovers, switched),
    said(
      before.length > 0,
      `${plural(before.length, 'request')} failed before the fault (the last ${ms(toldAt - Math.max(...before.map((each) => each.endedAt)))} before), so the figures are not the fault's alone`,
    ),
    said(whileHealing > 0, `${plural(whileHealing, 'request')} failed while the fault was being undone`),
    said(
      probeLate,
      `the probe itself was late (p99 ${ms(lag.p99Ms)}, at most ${ms(lag.maxMs)}): the recovery was not measured`,
    ),
    said(history.length === 0, 'the probe made no request: nothing was measured'),
    said(
      history.length > 0 && seen.recoveryMs === null,
      'the probe made no request while it mattered: the recovery was not measured',
    ),
  ].filter((reason) => reason !== undefined);

  return {
    ...recovery,
    ok: reasons.length === 0,
    reasons,
    requests: history.length,
    failedRequests: failed.length,
    failures: kindsOf(failed),
    unknownWrites: failed.filter((request) => operationOf(request).outcome === 'unknown').length,
    ackedWrites: history.filter(acknowledged).length,
    primaries: reignsOf(operations).length || null,
    lostWrites: lost,
    staleReads: count('stale'),
    falseFailovers: falseFailovers(scenario.failovers, phases.failovers, switched),
    violations: [...violations].sort((a, b) => Number(a.kind === 'stale') - Number(b.kind === 'stale')),
    lag,
    alert: alertOf(scenario.alert, recording),
  };
}

/** It was in the hands of what died, or was sent to it before anybody else could take its place. */
function isExcused({ mayFail }: Judged, { intendedAt, endedAt }: Request, { toldAt, faultAt }: Recording) {
  return typeof mayFail === 'object' && endedAt >= toldAt && intendedAt < faultAt + mayFail.dueWithinMs;
}

function tooManyFailed(mayFail: Judged['mayFail'], failed: number): string | undefined {
  if (typeof mayFail === 'number')
    return said(failed > mayFail, `${plural(failed, 'request')} failed, at most ${mayFail} may`);
  const late = `${ms(mayFail.dueWithinMs)} after the fault or later`;
  return said(failed > 0, `${plural(failed, 'request')} failed that came ${late}, and none of those may`);
}

function wrongAlert(wanted: string | null, { rules, unheard, fired }: AlertsSeen): string | undefined {
  if (unheard !== undefined) return `whether an alert fired is unknown: ${unheard}`;
  if (rules === undefined || rules.size === 0 || wanted === 'any') return undefined;
  const names = fired.filter((alert) => alert.severity === 'critical').map((alert) => alert.name);
  if (wanted === null) return said(names.length > 0, `an alert fired, and none may: ${names.join(', ')}`);
  if (!rules.has(wanted)) return `Prometheus has no rule ${wanted}, which has to fire`;
  return said(
    fired.every((alert) => alert.name !== wanted),
    `the alert ${wanted} did not fire`,
  );
}

function alertOf(wanted: string | null, { alerts, faultAt }: Recording): Verdict['alert'] {
  const unnamed = wanted === null || wanted === 'any';
  const found = alerts.fired.find((each) => (unnamed ? each.severity === 'critical' : each.name === wanted));
  if (found === undefined) return null;
  const overMs = found.overAt === null ? null : Math.round(found.overAt - faultAt);
  return { name: found.name, firedMs: Math.round(found.at - faultAt), overMs };
}

/** Of a scenario that takes nothing away: its longest stall. */
function recoveredFrom({ recovery: kind }: Judged, budgetMs: number, recording: Recording): Recovery {
  const { history, toldAt: calmUntil, faultAt, healAt } = recording;
  const until = kind === 'return' ? Number.POSITIVE_INFINITY : healAt;
  const options = { until, calmUntil, budgetMs };
  const fromFault = recoveryOf(history, faultAt, options);
  if (kind === 'fault') return fromFault;
  if (kind === 'stall') return { ...fromFault, recoveryMs: fromFault.recoveryMs === null ? null : fromFault.countedMs };
  const { recoveryMs, firstWriteMs } = recoveryOf(history, healAt, options);
  return { ...fromFault, recoveryMs, firstWriteMs };
}

function kindsOf(failed: readonly Request[]): string[] {
  const kinds = Map.groupBy(failed, ({ op, error, status }) => `${op} ${error ?? status}`);
  return [...kinds].sort(([, a], [, b]) => b.length - a.length).map(([kind, all]) => `${all.length} x ${kind}`);
}

function late({ recovery }: Judged, { recoveryMs }: Recovery, budgetMs: number): string | undefined {
  if (recoveryMs === null || recoveryMs <= budgetMs) return undefined;
  const what = {
    fault: 'recovery took',
    return: 'after the end of the fault recovery took',
    stall: 'an answer took',
  }[recovery];
  return `${what} ${ms(recoveryMs)}, the budget is ${ms(budgetMs)}`;
}

function wrongFailovers(wanted: Judged['failovers'], seen: number, switched: boolean): string | undefined {
  if (wanted === 'any') return undefined;
  if (wanted === 'at most 1')
    return seen > 1 ? `${plural(seen, 'failover')} happened, at most 1 was expected` : undefined;
  if (wanted === 0) return switched ? 'a failover happened that nothing called for' : undefined;
  if (!switched) return 'no failover happened, but one was expected';
  return seen > wanted || (wanted > 1 && seen < wanted)
    ? `${plural(seen, 'failover')} happened, ${wanted} were expected`
    : undefined;
}

function falseFailovers(wanted: Judged['failovers'], seen: number, switched: boolean): number {
  if (wanted === 'any') return 0;
  if (wanted === 'at most 1') return Math.max(seen - 1, 0);
  return Math.max(seen, switched ? 1 : 0, wanted) - wanted;
}

function said(applies: boolean, reason: string): string | undefined {
  return applies ? reason : undefined;
}
