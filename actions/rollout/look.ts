import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode, Role } from '../core/environment/schema.ts';
import { type Picture, unhealthy } from '../core/health.ts';
import { readFleet } from './fleet.ts';
import { type GatePassed, type GateRule, gate, type NodeTrouble } from './gates.ts';
import type { Part, State } from './state.ts';
import { wouldMiss } from './survive.ts';

/** Waits until the fleet can do without these nodes at the same time. Throws a FiredrillError (`gate`) that says why it can't. */
export async function proveDispensable(state: State, parts: readonly Part[]): Promise<void> {
  const { environment } = state.engine;
  const nodes = parts.map((each) => each.node);
  // Whoever shares a role with them may have to stand in.
  const peers = environment.nodes.filter((each) =>
    nodes.some((node) => [...node.roles, ...alsoAsked(node)].some((role) => each.roles.includes(role))),
  );
  const seen = [...nodes, state.primary, ...peers].map((each) => each.name);
  const missed = (picture: Picture): NodeTrouble | undefined => {
    for (const node of nodes) {
      const what = wouldMiss(picture, node, nodes);
      if (what !== undefined) return { node: node.name, condition: 'unhealthy', what };
    }
    return undefined;
  };
  await watch(state, 'survive', seen, missed, once(state));
}

/** Who else knows whether the fleet can do without it. */
function alsoAsked({ roles }: EnvironmentNode): Role[] {
  return roles.includes('redis') ? ['lb', 'sentinel'] : ['lb'];
}

/** Waits until all of these are well, as everybody else sees them too, for as long as the rule says. */
export async function proveHealthy(
  state: State,
  phase: string,
  nodes: readonly EnvironmentNode[],
  rule: GateRule,
): Promise<GatePassed> {
  const seen = nodes.flatMap((node) => witnesses(state.engine.environment, node, state.primary));
  const starts = new Map<string, string>();
  return await watch(state, phase, seen, (picture) => firstTrouble(picture, nodes, starts), rule);
}

/** The rule for a node that was changed; `canary`: it is the first of its role. */
export function gateRule(state: State, canary: boolean): GateRule {
  const { gateSuccesses, gateHealthyMs, canaryMs, gateTimeoutMs, progressTimeoutMs } = state.engine.environment.rollout;
  return {
    successes: gateSuccesses,
    healthyMs: canary ? Math.max(canaryMs, gateHealthyMs) : gateHealthyMs,
    healthDeadlineMs: gateTimeoutMs,
    progressDeadlineMs: progressTimeoutMs,
  };
}

/** The rule for a look before anything is touched: what has to become well is others' work. */
export function once(state: State): GateRule {
  const { gateTimeoutMs } = state.engine.environment.rollout;
  return { successes: 1, healthyMs: 0, healthDeadlineMs: gateTimeoutMs, progressDeadlineMs: gateTimeoutMs };
}

/** The nodes whose facts `unhealthy` looks at. */
function witnesses(environment: Environment, node: EnvironmentNode, primary: EnvironmentNode): string[] {
  const asks = node.roles.some((role) => role === 'app' || role === 'lb');
  const lbs = asks ? nodesOf(environment, 'lb').map((lb) => lb.name) : [];
  return [node.name, ...(node.roles.includes('redis') ? [primary.name] : []), ...lbs];
}

function watch(
  state: State,
  phase: string,
  names: readonly string[],
  trouble: (picture: Picture) => NodeTrouble | undefined,
  rule: GateRule,
): Promise<GatePassed> {
  const { environment, fleet, signal } = state.engine;
  const look = async (): Promise<Picture> => {
    const { deployed, primary, wrote: wroteBefore } = state;
    const facts = await readFleet(environment, fleet, names);
    state.wrote = facts.get(primary.name)?.redis?.offset ?? wroteBefore;
    return { environment, facts, deployed, primary, wroteBefore };
  };
  const intervalMs = environment.rollout.gateIntervalMs;
  return gate({ rule, intervalMs, node: names[0] ?? '', phase, look, trouble, signal });
}

/** `starts` keeps between looks which process ran: one that died and came back in between was never seen dead. */
function firstTrouble(
  picture: Picture,
  nodes: readonly EnvironmentNode[],
  starts: Map<string, string>,
): NodeTrouble | undefined {
  for (const node of nodes) {
    const trouble = unhealthy(picture, node) ?? startedAgain(picture, node, starts);
    if (trouble !== undefined) return { ...trouble, node: node.name };
  }
  return undefined;
}

function startedAgain(picture: Picture, node: EnvironmentNode, starts: Map<string, string>) {
  for (const [name, unit] of Object.entries(picture.facts.get(node.name)?.units ?? {})) {
    const key = `${node.name} ${name}`;
    const before = starts.get(key);
    const now = `${unit.pid} ${unit.restarts}`;
    starts.set(key, now);
    if (before !== undefined && before !== now)
      return { condition: 'dead' as const, what: `${name} ended and systemd started it again` };
  }
  return undefined;
}
