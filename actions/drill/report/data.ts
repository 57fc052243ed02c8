import { describe, type Violation } from '../../core/history/check.ts';
import { type ClockOffset, isoTime } from '../clock.ts';
import { type BrokenRun, isBroken, type Run } from '../run-scenario.ts';
import type { Scenario } from '../scenarios/scenario.ts';

/** out/drill.json, version 1. Times in ms, rounded; null for what was not seen or not measured. */
export interface DrillReport {
  readonly version: 1;
  readonly environment: string;
  /** The commit that was deployed when it was drilled; null when nobody could tell. */
  readonly commit: string | null;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly ok: boolean;
  /** Why there was no drill at all, so that `scenarios` is empty; null when there was one. */
  readonly notStarted: string | null;
  /** The nodes' clocks against the controller's when it began (ms). No figure here counts on them. */
  readonly clocks: readonly ClockOffset[];
  readonly scenarios: readonly ScenarioReport[];
}

export interface ScenarioReport {
  readonly name: string;
  readonly ok: boolean;
  readonly runs: readonly RunReport[];
  readonly recoveryMs: Percentiles;
  readonly budgetMs: number;
}

export interface Percentiles {
  readonly p50: number | null;
  readonly p95: number | null;
  readonly max: number | null;
}

export interface RunReport {
  readonly ok: boolean;
  readonly faultAt: string | null;
  readonly recoveryMs: number | null;
  readonly stalledMs: number | null;
  readonly detectedMs: number | null;
  readonly electedMs: number | null;
  readonly promotedMs: number | null;
  readonly requests: number;
  readonly failedRequests: number;
  readonly ackedWrites: number;
  readonly lostWrites: number;
  /** Failovers that nothing called for. */
  readonly falseFailovers: number;
  /** From the fault; `overMs` is null when it fired still when the run ended, and is not there in runs of before it was looked for. */
  readonly alert: { readonly name: string; readonly firedMs: number; readonly overMs?: number | null } | null;
  /** Why it is red; null when it is green. */
  readonly reason: string | null;
  readonly detail: RunDetail | null;
}

/** What the report shows besides. */
export interface RunDetail {
  readonly breaks: string;
  readonly target: string;
  readonly newPrimary: string | null;
  /** How far faultAt, and so every figure counted from it, may be off. */
  readonly uncertaintyMs: number;
  readonly agreedMs: number | null;
  readonly announcedMs: number | null;
  readonly firstWriteMs: number | null;
  readonly resyncedMs: number | null;
  readonly unknownWrites: number;
  /** `12 x write 503`, the most frequent first. */
  readonly failures: readonly string[];
  /** Slow requests that waited alone, so that they are no stall, and the longest of their waits. Runs of before it was looked for have none. */
  readonly lone?: { readonly requests: number; readonly longestMs: number };
  readonly staleReads: number;
  /** Replication IDs under which changes were acknowledged; null: the service does not say who did. Runs of before it was looked for have none. */
  readonly primaries?: number | null;
  /** What the history can't be explained with, the worst first, at most some. */
  readonly proofs: readonly string[];
  /** What the recovery counts from, as in Scenario; runs of before it was kept have none. */
  readonly recovery?: Scenario['recovery'];
  readonly probe: { readonly requestsPerS: number; readonly lagP99Ms: number; readonly lagMaxMs: number };
}

/** One run as the report has it. Pure. */
export function runReport(run: Run | BrokenRun, requestsPerS: number): RunReport {
  if (isBroken(run)) return { ...nothingMeasured, reason: run.reason };
  const { verdict, phases, injection } = run;
  return {
    ok: verdict.ok,
    faultAt: isoTime(injection.faultAt),
    recoveryMs: rounded(verdict.recoveryMs),
    stalledMs: Math.round(verdict.stalledMs),
    detectedMs: rounded(phases.detectedMs),
    electedMs: rounded(phases.electedMs),
    promotedMs: rounded(phases.promotedMs),
    requests: verdict.requests,
    failedRequests: verdict.failedRequests,
    ackedWrites: verdict.ackedWrites,
    lostWrites: verdict.lostWrites,
    falseFailovers: verdict.falseFailovers,
    alert: verdict.alert,
    reason: verdict.ok ? null : verdict.reasons.join('; '),
    detail: {
      breaks: injection.by === undefined ? run.scenario.breaks : `${run.scenario.breaks}; here by ${injection.by}`,
      target: run.targets.join(', '),
      newPrimary: phases.newPrimary,
      uncertaintyMs: Math.ceil(injection.uncertaintyMs * 10) / 10,
      agreedMs: rounded(phases.agreedMs),
      announcedMs: rounded(phases.announcedMs),
      firstWriteMs: rounded(verdict.firstWriteMs),
      resyncedMs: rounded(phases.resyncedMs),
      unknownWrites: verdict.unknownWrites,
      failures: verdict.failures.slice(0, 8),
      lone: { ...verdict.lone, longestMs: Math.round(verdict.lone.longestMs) },
      staleReads: verdict.staleReads,
      primaries: verdict.primaries,
      proofs: verdict.violations.slice(0, 5).map(proofOf),
      recovery: run.scenario.recovery,
      probe: { requestsPerS, lagP99Ms: tenth(verdict.lag.p99Ms), lagMaxMs: tenth(verdict.lag.maxMs) },
    },
  };
}

/** The runs of one scenario. Without a run it is red. Pure. */
export function scenarioReport(name: string, budgetMs: number, runs: readonly RunReport[]): ScenarioReport {
  const measured = runs.map((run) => run.recoveryMs).filter((value) => value !== null);
  const ok = runs.length > 0 && runs.every((run) => run.ok);
  return { name, ok, runs, recoveryMs: percentiles(measured), budgetMs };
}

/** Nearest rank: a percentile is a value that was measured, never one between two. Pure. */
export function percentiles(values: readonly number[]): Percentiles {
  const sorted = [...values].sort((a, b) => a - b);
  const rank = (share: number): number | null => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? null;
  return { p50: rank(0.5), p95: rank(0.95), max: rank(1) };
}

/** Why the drill is red, a line for each scenario that is. */
export function reasonsOf(report: DrillReport): string[] {
  if (report.notStarted !== null) return [`the drill could not start: ${report.notStarted}`];
  return report.scenarios.flatMap((scenario) =>
    scenario.runs.filter((run) => !run.ok).map((run) => `${scenario.name}: ${run.reason ?? 'not measured'}`),
  );
}

const nothingMeasured: Omit<RunReport, 'reason'> = {
  ok: false,
  faultAt: null,
  recoveryMs: null,
  stalledMs: null,
  detectedMs: null,
  electedMs: null,
  promotedMs: null,
  requests: 0,
  failedRequests: 0,
  ackedWrites: 0,
  lostWrites: 0,
  falseFailovers: 0,
  alert: null,
  detail: null,
};

/** One violation in a line, with the operations that prove it. */
function proofOf({ kind, key, what, operations }: Violation): string {
  return `${kind}: ${key}: ${what} [${operations.slice(0, 4).map(describe).join('; ')}]`.slice(0, 600);
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value);
}

function tenth(value: number): number {
  return Math.round(value * 10) / 10;
}
