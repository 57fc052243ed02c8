import { randomBytes } from 'node:crypto';
import { sleep } from '../core/deadline.ts';
import { nodeNamed, nodesOf } from '../core/environment/nodes.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Log, progressLine } from '../core/log.ts';
import { type AlertWatch, watchAlerts } from './alerts.ts';
import { nowMs } from './clock.ts';
import type { Deploys } from './deploy.ts';
import { type Fleet, type FleetNode, nodeAt } from './fleet.ts';
import { type FollowUp, followUp } from './follow-up.ts';
import { healArmed } from './heal.ts';
import { type Armed, arm, heal, type Injection, inject, injectAll, longest, prepare, undoPlan } from './inject.ts';
import type { Leases } from './leases.ts';
import { observe } from './observe.ts';
import type { Request } from './probe/history.ts';
import { type Probe, startProbe } from './probe/probe.ts';
import { changedKeys, readBack, removeKeys } from './read-back.ts';
import type { Scenario, Step } from './scenarios/index.ts';
import { proveSteady } from './steady/steady.ts';
import { announcements, type Phases, phasesOf, type Recorder, recordTimeline } from './timeline.ts';
import { judge, type Verdict } from './verdict/verdict.ts';

/** One run of a scenario that was measured to its end. */
export interface Run {
  readonly scenario: Scenario;
  /** The nodes that were broken. */
  readonly targets: readonly string[];
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
  readonly leases: Leases;
  /** Opened for a scenario that rolls out. */
  readonly openDeploys: () => Promise<Deploys>;
  /** Aborted by SIGINT or SIGTERM: heal and end. */
  readonly signal: AbortSignal;
}

/** The longest recovery of that scenario that passes here (ms). */
export function budgetOf(scenario: Pick<Scenario, 'name' | 'budgetMs'>, drill: Fleet['environment']['drill']): number {
  return drill.budgetsMs[scenario.name] ?? drill.budgetMs ?? scenario.budgetMs;
}

/**
 * Steady? -> probe -> inject -> observe -> heal -> steady again -> read back. Never throws: what went wrong is in the result, and
 * whatever went wrong, the fault is undone.
 */
export async function runScenario(context: RunContext, scenario: Scenario): Promise<Run | BrokenRun> {
  const { fleet, log } = context;
  const ended = new AbortController();
  const open: Open = {
    probe: undefined,
    recorder: undefined,
    alerts: undefined,
    deploys: undefined,
    armed: [],
    ended: ended.signal,
  };
  let run: Run | undefined;
  let failure: unknown;
  try {
    if (scenario.deploys !== undefined) open.deploys = await readyToDeploy(context);
    run = await measure(context, scenario, open, () => ended.abort());
  } catch (error) {
    failure = context.signal.aborted ? 'cancelled' : error;
    log.warning(`${scenario.name}: ${messageOf(failure)}`);
  }
  ended.abort();
  open.recorder?.stop();
  open.alerts?.stop();
  open.deploys?.close();
  if (run !== undefined) return run;

  // Healing comes first: after a cancellation there are seconds until the kill.
  const unhealed = await healArmed(open.armed, fleet);
  await open.probe?.stop().catch(() => {});
  const reasons = [messageOf(failure), ...unhealed];
  const unsteady = failure instanceof FiredrillError && failure.code === 'gate';
  return { scenario, reason: reasons.join('; '), whole: unhealed.length === 0 && !unsteady };
}

/** What must be closed whatever happens. */
interface Open {
  probe: Probe | undefined;
  recorder: Recorder | undefined;
  alerts: AlertWatch | undefined;
  deploys: Deploys | undefined;
  /** The nodes that may be broken. */
  armed: readonly Armed[];
  /** Aborted when nothing may be broken any more. */
  readonly ended: AbortSignal;
}

/** A deploy of the drill's own, once it is proved that nothing new would come with it. */
async function readyToDeploy({ leases, openDeploys }: RunContext): Promise<Deploys> {
  const deploys = await openDeploys();
  try {
    await leases.lend(() => deploys.prove());
    return deploys;
  } catch (error) {
    deploys.close();
    throw error;
  }
}

async function measure(
  { fleet, log, signal, leases }: RunContext,
  scenario: Scenario,
  open: Open,
  endFaults: () => void,
): Promise<Run> {
  const { drill } = fleet.environment;
  const state = await timed(log, scenario.name, 'steady', () => proveSteady(fleet, 'before the fault', signal));
  const steps = scenario.steps(state);
  const primary = nodeNamed(fleet.environment, state.primary);

  // Nobody else may have taken a node meanwhile, and the leases have to outlive what is armed now.
  await leases.renew();
  open.armed = undoPlan(fleet, steps);
  await Promise.all(open.armed.map((each) => arm(fleet, each)));
  await prepare(fleet, steps);
  open.recorder = await recordTimeline(fleet, primary.name);
  const alerts = await watchAlerts(fleet);
  open.alerts = alerts;
  const { requestsPerS, requestTimeoutMs } = drill;
  const run = randomBytes(4).toString('hex');
  open.probe = await startProbe({ url: fleet.publicUrl, run, requestsPerS, requestTimeoutMs });
  const { history } = open.probe;
  await sleep(drill.warmupMs, signal);
  refuseUnlessServed(history);

  const { observations } = open.recorder;
  const injection = await breakIt(fleet, steps, signal);
  log.info(progressLine(scenario.name, 'broken', undefined, scenario.breaks));
  const { deploys } = open;
  const release = scenario.deploys;
  const objections: string[] =
    deploys === undefined || release === undefined
      ? []
      : await timed(log, scenario.name, 'rolled out', () => leases.lend(() => deploys.roll(release)));
  const followUps = steps
    .filter((step) => step.when !== undefined && 'on' in step.when)
    .map((step) => followUp(fleet, step, observations, injection.faultAt, open.ended));
  const failovers = typeof scenario.failovers === 'number' ? scenario.failovers : 0;
  const untilCalm = scenario.recovery === 'fault';
  const alerted = (): boolean =>
    !willFire(scenario, alerts) || alerts.fired.some(({ name }) => name === scenario.alert);
  await observe({
    drill,
    faultAt: injection.faultAt,
    history,
    observations,
    lastsMs: longest(steps),
    failovers,
    untilCalm,
    alerted,
    signal,
  });
  const targets = [...atOnce(steps).flatMap((step) => step.nodes), ...(await hits(followUps, endFaults))];

  const healAt = nowMs();
  await timed(log, scenario.name, 'heal', () => Promise.all(open.armed.map((each) => heal(fleet, each))));
  open.armed = [];
  const after = await timed(log, scenario.name, 'steady again', () => proveSteady(fleet, 'after healing', signal));
  await open.probe.stop();
  open.probe = undefined;

  const keys = changedKeys(history);
  const final = await readBack(fleet, after.primary, keys);
  await removeKeys(fleet, after.primary, keys).catch(() => {}); // they expire
  await alertOver(scenario, alerts, drill.alertOverMs, signal);

  const survivors = nodesOf(fleet.environment, 'redis').filter((node) => !targets.includes(node.name));
  const phases = phasesOf(
    observations,
    injection.faultAt,
    primary.address,
    survivors.map((node) => node.name),
  );
  const { toldAt, faultAt } = injection;
  const movedBefore = announcements(observations.filter((each) => each.at < faultAt)).length;
  if (scenario.movesBefore === true && movedBefore === 0)
    objections.push('the primary did not move before it, so this shows nothing');
  const fired = alerts.fired.filter((alert) => alert.at < healAt);
  const recording = {
    toldAt,
    faultAt,
    healAt,
    history,
    phases,
    final,
    alerts: { ...alerts, fired },
    objections,
  };
  const verdict = judge(scenario, budgetOf(scenario, drill), recording);
  return { scenario, targets, injection, phases: named(fleet, phases), verdict };
}

/** Whether there is an alert to wait for. */
function willFire({ alert }: Scenario, { rules }: AlertWatch): boolean {
  return alert !== null && rules?.has(alert) === true;
}

/** Waits until the scenario's alert, if it fired, is over, so that the report can say when; that long at most. */
async function alertOver(
  { alert }: Scenario,
  { fired }: AlertWatch,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  const until = nowMs() + forMs;
  const fires = (): boolean => fired.some(({ name, overAt }) => name === alert && overAt === null);
  while (fires() && nowMs() < until) await sleep(100, signal);
}

/** The steps that happen whatever Sentinel does. */
function atOnce(steps: readonly Step[]): Step[] {
  return steps.filter((step) => step.when === undefined || 'beforeMs' in step.when);
}

/** What comes before the fault, each in its time, then the fault. */
async function breakIt(fleet: Fleet, steps: readonly Step[], signal: AbortSignal): Promise<Injection> {
  const node = (name: string): FleetNode => nodeAt(fleet, nodeNamed(fleet.environment, name).address);
  let toldAt: number | undefined;
  for (const step of atOnce(steps)) {
    if (step.when === undefined || !('beforeMs' in step.when)) continue;
    const before = await Promise.all(step.nodes.map((name) => inject(node(name), step)));
    toldAt ??= Math.min(...before.map((each) => each.toldAt));
    await sleep(step.when.beforeMs, signal);
  }
  const now = steps.filter((step) => step.when === undefined);
  const injection = await injectAll(
    now.flatMap((step) => step.nodes.map((name) => ({ node: node(name), fault: step }))),
  );
  return { ...injection, toldAt: toldAt ?? injection.toldAt };
}

/** Whom the faults within the failover hit. Throws a FiredrillError when one of them had nobody to hit: then it was another scenario. */
async function hits(followUps: readonly FollowUp[], endFaults: () => void): Promise<string[]> {
  endFaults();
  const nodes = await Promise.all(followUps.map((each) => each.hit));
  if (nodes.some((node) => node === undefined))
    throw new FiredrillError({
      code: 'remote',
      what: 'the failover within which the second fault belongs did not come',
      fix: "Run the scenario again; if it stays so, read the Sentinels' journals: the first fault has to lead to a failover",
    });
  return nodes.map((node) => node?.name ?? '');
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

async function timed<T>(log: Log, who: string, phase: string, work: () => Promise<T>): Promise<T> {
  const startedAt = nowMs();
  const value = await work();
  log.info(progressLine(who, phase, nowMs() - startedAt));
  return value;
}
