import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { progressLine } from '../core/log.ts';
import { drainServer, readyServer } from './drain.ts';
import type { NodeFacts } from './facts.ts';
import { throwFailures, withMore } from './failures.ts';
import { type Fleet, type Member, readFleet } from './fleet.ts';
import { gate } from './gates.ts';
import type { Handover } from './handover.ts';
import { interrupts, type NodePlan } from './plan.ts';
import { type Reporter, type Run, runOnNode } from './remote.ts';
import { type Picture, unhealthy, witnesses } from './settled.ts';
import { isServing, orderSteps } from './steps.ts';
import { wouldMiss } from './survive.ts';

export interface Engine {
  readonly environment: Environment;
  readonly fleet: Fleet;
  readonly run: Run;
  readonly reporter: Reporter;
  readonly plans: readonly NodePlan[];
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly primary: EnvironmentNode;
  /** Makes a replica the primary; gives its name. */
  readonly handOver: (from: string, facts: ReadonlyMap<string, NodeFacts>) => Promise<Handover>;
  /** No new node is begun once it aborts. */
  readonly signal: AbortSignal;
}

interface EngineResult {
  readonly handovers: readonly Handover[];
  readonly primary: EnvironmentNode;
}

interface State {
  readonly engine: Engine;
  readonly deployed: Set<string>;
  readonly serving: boolean;
  readonly handovers: Handover[];
  primary: EnvironmentNode;
}

/**
 * Applies the plans, whose releases are staged and validated on their nodes: step by step in the order of steps.ts, each node proved
 * dispensable before and healthy after. Throws a FiredrillError at the first step that fails, with its node reverted; when it returns or
 * throws, nothing of ours works on a node any more.
 */
export async function applyPlans(engine: Engine): Promise<EngineResult> {
  const state: State = {
    engine,
    deployed: new Set([...engine.facts.values()].filter((each) => each.current !== undefined).map((each) => each.node)),
    serving: isServing(engine.facts),
    handovers: [],
    primary: engine.primary,
  };
  for (const step of orderSteps(engine.environment, engine.plans, engine.facts, engine.primary.name)) {
    if (engine.signal.aborted)
      throw new FiredrillError({
        code: 'cancelled',
        what: 'cancelled between two nodes; the next run goes on from here',
      });
    if (step.kind === 'handover') await handOver(state, step.from);
    else await changeNodes(state, step.nodes);
  }
  return { handovers: state.handovers, primary: state.primary };
}

async function changeNodes(state: State, names: readonly string[]): Promise<void> {
  const parts = names.map((name) => part(state, name));
  const changed = await Promise.allSettled(parts.map((each) => changeNode(state, each)));
  // The others are brought to their end before the failure is told: the next run finds them done.
  const good = parts.filter((_, index) => changed[index]?.status === 'fulfilled');
  throwFailures([...changed, ...(await Promise.allSettled([good.length > 0 ? prove(state, good) : undefined]))]);
}

/** The gate: these nodes are well as the rest of the fleet sees them, or all of them go back to what they had. */
async function prove(state: State, parts: readonly Part[]): Promise<void> {
  const begun = performance.now();
  try {
    const seen = parts.flatMap((each) => witnesses(state.engine.environment, each.node, state.primary));
    const probes = await watch(state, parts[0], 'gate', seen, (picture) => firstTrouble(picture, parts));
    for (const { node } of parts) done(state, node.name, 'gate', begun, `${probes} probes`);
  } catch (error) {
    const reverted = await Promise.all(
      parts.map((each) => revert(state, each).catch((failure) => kept(each, failure))),
    );
    throw withMore(
      error,
      reverted.filter((line) => line !== undefined),
    );
  }
}

interface Part {
  readonly node: EnvironmentNode;
  readonly member: Member;
  readonly plan: NodePlan;
}

async function changeNode(state: State, { node, member, plan }: Part): Promise<void> {
  const { environment, reporter, run } = state.engine;
  const stops = state.serving && interrupts(plan);
  if (stops) {
    const begun = performance.now();
    // Whoever shares a role with it may have to stand in.
    const peers = environment.nodes.filter((each) =>
      [...node.roles, 'lb' as const].some((role) => each.roles.includes(role)),
    );
    const seen = [state.primary.name, ...peers.map((each) => each.name)];
    await watch(state, { node, member, plan }, 'survive', seen, (picture) => wouldMiss(picture, node), 1);
    done(state, node.name, 'survive', begun, 'the fleet can do without it');
  }
  const lbs = stops && node.roles.includes('app') ? deployedLbs(state) : [];
  const drainAndSwitch = async () => {
    const begun = performance.now();
    throwFailures(await Promise.allSettled(lbs.map((lb) => drainServer(lb, node.name, environment.app.drainMs))));
    if (lbs.length > 0) done(state, node.name, 'drain', begun, '');
    await runOnNode(member, run, switchCommand(state, plan, plan.release.digest), reporter);
    state.deployed.add(node.name);
  };
  const switched = await Promise.allSettled([drainAndSwitch()]);
  throwFailures([...switched, ...(await Promise.allSettled(lbs.map((lb) => readyServer(lb, node.name))))]);
}

function switchCommand(state: State, plan: NodePlan, digest: string): Parameters<typeof runOnNode>[2] {
  const { environment, run } = state.engine;
  const activeMs = environment.rollout.gateSuccesses * environment.rollout.gateIntervalMs;
  const units = plan.units.map((unit) => `${unit.unit}=${unit.how}`);
  return {
    words: ['switch', digest, String(run.generation), String(run.leaseMs), run.who, String(activeMs), ...units],
    timeoutMs: environment.ssh.commandTimeoutMs,
  };
}

function kept({ plan }: Part, failure: unknown): string {
  return `${plan.node} could not be taken back to release ${plan.previous?.slice(0, 12)} and has kept ${plan.release.digest.slice(0, 12)}, which did not pass: ${messageOf(failure)}`;
}

/** The node looked well to itself and not to the others: it goes back to what it had. */
async function revert(state: State, { member, plan }: Part): Promise<void> {
  if (plan.previous === undefined || plan.previous === plan.release.digest) return;
  const back: NodePlan = {
    ...plan,
    units: plan.units.map((unit) => ({ ...unit, how: unit.how === 'reload' ? 'reload' : 'restart' })),
  };
  await runOnNode(member, state.engine.run, switchCommand(state, back, plan.previous), state.engine.reporter);
  state.engine.reporter.log.warning(`${plan.node} is back at release ${plan.previous.slice(0, 12)}`);
}

async function handOver(state: State, from: string): Promise<void> {
  const { engine } = state;
  const source = part(state, from);
  const begun = performance.now();
  // A handover wants everything well: each replica may be chosen, and all Sentinels have to agree.
  const others = [...nodesOf(engine.environment, 'redis'), ...nodesOf(engine.environment, 'sentinel')];
  const trouble = (picture: Picture) =>
    others.map((node) => unhealthy(picture, node)).find((each) => each !== undefined);
  const names = others.map((node) => node.name);
  await watch(state, source, 'handover', names, trouble, 1);
  const handover = await engine.handOver(from, await readFleet(engine.environment, engine.fleet, names));
  state.handovers.push(handover);
  const promoted = engine.environment.nodes.find((node) => node.name === handover.to);
  if (promoted === undefined) throw new FiredrillError({ code: 'bug', what: `${handover.to} is no node` });
  state.primary = promoted;
  await watch(state, source, 'handover', names, trouble);
  done(state, from, 'handover', begun, `${handover.to} is primary; writes waited ${Math.round(handover.pausedMs)} ms`);
}

function watch(
  state: State,
  source: Part | undefined,
  phase: string,
  names: readonly string[],
  trouble: (picture: Picture) => string | undefined,
  successes = state.engine.environment.rollout.gateSuccesses,
): Promise<number> {
  const { environment, fleet } = state.engine;
  if (source === undefined) throw new FiredrillError({ code: 'bug', what: 'a step without nodes' });
  const look = async (): Promise<Picture> => ({
    environment,
    facts: await readFleet(environment, fleet, names),
    deployed: state.deployed,
    primary: state.primary,
  });
  return gate({ environment, node: source.node, phase, look, trouble, successes });
}

function firstTrouble(picture: Picture, parts: readonly Part[]): string | undefined {
  for (const { node } of parts) {
    const trouble = unhealthy(picture, node);
    if (trouble !== undefined) return parts.length === 1 ? trouble : `${node.name}: ${trouble}`;
  }
  return undefined;
}

function part(state: State, name: string): Part {
  const member = state.engine.fleet.get(name);
  const plan = state.engine.plans.find((each) => each.node === name);
  if (member === undefined || plan === undefined)
    throw new FiredrillError({ code: 'bug', what: `no plan for ${name}` });
  return { node: member.node, member, plan };
}

function deployedLbs(state: State): Member[] {
  return [...state.engine.fleet.values()].filter(
    (member) => member.node.roles.includes('lb') && state.deployed.has(member.node.name),
  );
}

function done(state: State, node: string, phase: string, begun: number, detail: string): void {
  const ms = Math.round(performance.now() - begun);
  state.engine.reporter.onPhase(node, { phase, ok: true, ms, detail });
  state.engine.reporter.log.info(progressLine(node, phase, ms, detail));
}
