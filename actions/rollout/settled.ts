import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import type { NodeFacts } from './facts.ts';

/** What the predicates below look at. */
export interface Picture {
  readonly environment: Environment;
  /** All nodes that answered. */
  readonly facts: ReadonlyMap<string, NodeFacts>;
  /** Nodes that have a release: the others are not expected to do anything yet. */
  readonly deployed: ReadonlySet<string>;
  readonly primary: EnvironmentNode;
}

/**
 * Why a node is not healthy as the rest of the fleet sees it, or undefined when it is. This is what a gate asks again and again.
 * Pure.
 */
export function unhealthy(picture: Picture, node: EnvironmentNode): string | undefined {
  const facts = picture.facts.get(node.name);
  if (facts === undefined) return 'it does not answer over ssh';
  const dead = Object.entries(facts.units).find(([, unit]) => unit.active !== 'active');
  if (dead !== undefined) return `${dead[0]} is ${dead[1].active} (${dead[1].sub})`;
  const reasons = [
    node.roles.includes('redis') ? redisTrouble(picture, node, facts) : undefined,
    node.roles.includes('sentinel') ? sentinelTrouble(picture, facts) : undefined,
    node.roles.includes('app') ? appTrouble(picture, node, facts) : undefined,
    node.roles.includes('lb') ? lbTrouble(picture, facts) : undefined,
    node.roles.includes('monitor') && facts.health !== 200
      ? `Prometheus answers ${facts.health || 'nothing'}`
      : undefined,
  ];
  return reasons.find((reason) => reason !== undefined);
}

/** The nodes whose facts `unhealthy` looks at. */
export function witnesses(environment: Environment, node: EnvironmentNode, primary: EnvironmentNode): string[] {
  const lbs = node.roles.includes('app') ? nodesOf(environment, 'lb').map((lb) => lb.name) : [];
  return [node.name, ...(node.roles.includes('redis') ? [primary.name] : []), ...lbs];
}

function redisTrouble(picture: Picture, node: EnvironmentNode, facts: NodeFacts): string | undefined {
  const redis = facts.redis;
  if (redis === undefined) return 'Redis does not answer';
  if (redis.loading) return 'Redis is loading its data';
  if (node.name === picture.primary.name)
    return redis.role === 'primary' ? undefined : 'Redis is a replica, not the primary';
  if (redis.follows === undefined) return `Redis is a primary beside ${picture.primary.name}`;
  if (redis.follows.address !== picture.primary.address)
    return `Redis follows ${redis.follows.address}, not ${picture.primary.name}`;
  if (!redis.follows.linkUp) return 'the link to the primary is down';
  return replicaTrouble(picture, node);
}

/** As the primary sees it. */
function replicaTrouble(picture: Picture, node: EnvironmentNode): string | undefined {
  const primary = picture.facts.get(picture.primary.name)?.redis;
  if (primary === undefined) return `the primary ${picture.primary.name} does not answer`;
  const seen = primary.replicas.find((replica) => replica.address === node.address);
  if (seen === undefined) return `the primary ${picture.primary.name} does not list it as a replica`;
  if (!seen.online) return 'its first synchronisation is not done';
  if (seen.lagS > picture.environment.redis.minReplicasMaxLagS) return `it lags ${seen.lagS} s behind`;
  return undefined;
}

function sentinelTrouble(picture: Picture, facts: NodeFacts): string | undefined {
  const view = facts.sentinel;
  if (view === undefined) return 'Sentinel does not answer';
  const { environment, deployed } = picture;
  if (view.primary.host !== picture.primary.address) return `Sentinel names ${view.primary.host} as primary`;
  if (view.flags.join() !== 'master') return `Sentinel says of the primary: ${view.flags.join()}`;
  const others = nodesOf(environment, 'sentinel').filter((node) => deployed.has(node.name)).length - 1;
  if (view.otherSentinels.length !== others)
    return `Sentinel knows ${view.otherSentinels.length} others instead of exactly ${others}`;
  const down = view.otherSentinels.find((other) => other.flags.includes('s_down'));
  if (down !== undefined) return `Sentinel holds ${down.host} for down`;
  const replicas = nodesOf(environment, 'redis').filter((node) => deployed.has(node.name)).length - 1;
  if (view.replicas.length !== replicas)
    return `Sentinel knows ${view.replicas.length} replicas instead of ${replicas}`;
  // With fewer than a majority there is nothing to reach yet.
  if (others + 1 >= environment.sentinel.quorum && !view.quorumOk) return view.quorumMessage;
  return undefined;
}

function appTrouble(picture: Picture, node: EnvironmentNode, facts: NodeFacts): string | undefined {
  if (picture.environment.haproxy.mode === 'http' && facts.health !== 200)
    return `/healthz answers ${facts.health || 'nothing'}`;
  for (const lb of nodesOf(picture.environment, 'lb').filter((each) => picture.deployed.has(each.name))) {
    const status = serverStatus(picture.facts.get(lb.name), node.name);
    if (status !== 'UP') return `HAProxy on ${lb.name} says ${status ?? 'nothing'}`;
  }
  return undefined;
}

function lbTrouble(picture: Picture, facts: NodeFacts): string | undefined {
  if (facts.haproxy === undefined) return 'HAProxy does not answer on its socket';
  for (const app of nodesOf(picture.environment, 'app').filter((each) => picture.deployed.has(each.name))) {
    const status = serverStatus(facts, app.name);
    if (status !== 'UP') return `HAProxy says that ${app.name} is ${status ?? 'unknown'}`;
  }
  return undefined;
}

export function serverStatus(lb: NodeFacts | undefined, app: string): string | undefined {
  return lb?.haproxy?.find((server) => server.backend === 'app' && server.server === app)?.status;
}
