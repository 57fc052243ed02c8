import { randomBytes } from 'node:crypto';
import { sleep } from '../core/deadline.ts';
import { nodeNamed } from '../core/environment/nodes.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Log, progressLine } from '../core/log.ts';
import { nowMs } from './clock.ts';
import { type Fleet, type FleetNode, nodeAt } from './fleet.ts';
import { arm, heal, type Injection, inject } from './inject.ts';
import { observe } from './observe.ts';
import type { Request } from './probe/history.ts';
import { type Probe, startProbe } from './probe/probe.ts';
import { readBack, removeKeys } from './read-back.ts';
import type { Scenario } from './scenarios/index.ts';
import { proveSteady } from './steady/steady.ts';
import { type Phases, phasesOf, type Recorder, recordTimeline } from './timeline.ts';
import { acknowledgedKeys } from './verdict/ledger.ts';
import { judge, type Verdict } from './verdict/verdict.ts';

/** One run of a scenario that was measured to its end. */
export interface Run {
  readonly scenario: Scenario;
  readonly target: string;
  readonly injection: Injection;
  readonly phases: Phases;
  readonly verdict: Verdict;
}

/** One that was not; `whole` tells whether the fleet may be broken again all the same. */
export interface BrokenRun {
  readonly scenario: Scenario;
  readonly reason: string;
  readonly whole: boolean;
}

export function isBroken(run: Run | BrokenRun): run is BrokenRun {
  return 'reason' in run;
}

export interface RunContext {
  readonly fleet: Fleet;
  readonly log: Log;
  /** Aborted by SIGINT or SIGTERM: heal and end. */
  readonly signal: AbortSignal;
}

/**
 * Steady? -> probe -> inject -> observe -> heal -> steady again -> read back. Never throws: what went wrong is in the result, and
 * whatever went wrong, the fault is undone.
 */
export async function runScenario(context: RunContext, scenario: Scenario): Promise<Run | BrokenRun> {
  const { fleet, log } = context;
  const open: Open = { probe: undefined, recorder: undefined, armed: undefined };
  let run: Run | undefined;
  let failure: unknown;
  try {
    run = await measure(context, scenario, open);
  } catch (error) {
    failure = context.signal.aborted ? 'cancelled' : error;
    log.warning(`${scenario.name}: ${messageOf(failure)}`);
  }
  open.recorder?.stop();
  if (run !== undefined) return run;

  // Healing comes first: after a cancellation there are seconds until the kill.
  const unhealed = await healArmed(open.armed, scenario, fleet);
  await open.probe?.stop().catch(() => {});
  const reasons = [messageOf(failure), ...(unhealed === undefined ? [] : [unhealed])];
  const unsteady = failure instanceof FiredrillError && failure.code === 'gate';
  return { scenario, reason: reasons.join('; '), whole: unhealed === undefined && !unsteady };
}

/** What must be closed whatever happens. */
interface Open {
  probe: Probe | undefined;
  recorder: Recorder | undefined;
  /** The node that may be broken. */
  armed: FleetNode | undefined;
}

async function measure({ fleet, log, signal }: RunContext, scenario: Scenario, open: Open): Promise<Run> {
  const { drill } = fleet.environment;
  const state = await timed(log, scenario.name, 'steady', () => proveSteady(fleet, 'before the fault', signal));
  const node = nodeAt(fleet, nodeNamed(fleet.environment, scenario.target(state)).address);
  const primary = nodeNamed(fleet.environment, state.primary);

  open.armed = node;
  await arm(fleet, node, scenario);
  open.recorder = await recordTimeline(fleet, primary.name);
  const { requestsPerS, requestTimeoutMs } = drill;
  const run = randomBytes(4).toString('hex');
  open.probe = await startProbe({ url: fleet.publicUrl, run, requestsPerS, requestTimeoutMs });
  const { history } = open.probe;
  await sleep(drill.warmupMs, signal);
  refuseUnlessServed(history);

  const injection = await inject(node, scenario);
  log.info(progressLine(node.name, 'broken', undefined, scenario.breaks));
  const failover = scenario.failover === 'expected' ? primary.address : undefined;
  const { observations } = open.recorder;
  await observe({ drill, faultAt: injection.faultAt, history, observations, failover, signal });

  const healAt = nowMs();
  await timed(log, node.name, 'heal', () => heal(node, scenario));
  open.armed = undefined;
  const after = await timed(log, scenario.name, 'steady again', () => proveSteady(fleet, 'after healing', signal));
  await open.probe.stop();
  open.probe = undefined;

  const keys = acknowledgedKeys(history);
  const final = await readBack(fleet, after.primary, keys);
  await removeKeys(fleet, after.primary, keys).catch(() => {}); // they expire

  const phases = named(fleet, phasesOf(observations, injection.faultAt, primary.address));
  const budgetMs = drill.budgetsMs[scenario.name] ?? drill.budgetMs;
  const recording = { toldAt: injection.toldAt, faultAt: injection.faultAt, healAt, history, phases, final };
  return { scenario, target: node.name, injection, phases, verdict: judge(scenario, budgetMs, recording) };
}

/** Who is not served before the fault tells nothing of it, and a system that fails already must not be broken further. */
function refuseUnlessServed(history: readonly Request[]): void {
  const failed = history.filter((request) => request.outcome !== 'ok');
  if (history.length > 0 && failed.length === 0) return;
  throw new FiredrillError({
    code: 'gate',
    phase: 'warm-up',
    what: `${failed.length} of ${history.length} requests failed before anything was broken`,
    fix: 'Find out why; nothing was injected',
  });
}

/** With the new primary's name instead of its address. */
function named(fleet: Fleet, phases: Phases): Phases {
  const node = fleet.nodes.find((each) => each.address === phases.newPrimary);
  return { ...phases, newPrimary: node?.name ?? phases.newPrimary };
}

/** Undoes what a run that broke off left; the reason when that failed. Heeds no cancellation: this is what is left to do. */
async function healArmed(node: FleetNode | undefined, scenario: Scenario, fleet: Fleet): Promise<string | undefined> {
  if (node === undefined) return undefined;
  for (let tried = 1; ; tried += 1) {
    try {
      await heal(node, scenario);
      return undefined;
    } catch (error) {
      if (tried === 3) return unhealed(node, fleet, error);
      await sleep(1000);
    }
  }
}

function unhealed(node: FleetNode, fleet: Fleet, error: unknown): string {
  const afterS = fleet.environment.drill.healAfterMs / 1000;
  return new FiredrillError({
    code: 'gate',
    node: node.name,
    what: `could not be healed: ${messageOf(error)}`,
    fix: `If it was armed it heals itself ${afterS} s after that; look at systemctl status firedrill-heal.timer there`,
  }).message;
}

async function timed<T>(log: Log, who: string, phase: string, work: () => Promise<T>): Promise<T> {
  const startedAt = nowMs();
  const value = await work();
  log.info(progressLine(who, phase, nowMs() - startedAt));
  return value;
}
