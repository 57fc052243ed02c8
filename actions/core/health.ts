import { nodesOf } from './environment/nodes.ts';
import type { Environment, EnvironmentNode } from './environment/schema.ts';
import type { HaproxyServer } from './haproxy.ts';
import type { RedisFacts } from './redis.ts';
import type { SentinelView } from './sentinel.ts';
import { type Holding, sharedTrouble } from './shared-address.ts';

/** With systemd's words: active (running), activating (auto-restart) ... */
interface UnitLook {
  readonly active: string;
  readonly sub: string;
  /** Which process it is, and how often systemd has started it again. */
  readonly pid?: number;
  readonly restarts?: number;
}

/** What is known of a node at one moment. Of a service that does not answer: undefined. */
export interface NodeLook extends Holding {
  readonly units: Readonly<Record<string, UnitLook>>;
  readonly redis: RedisFacts | undefined;
  readonly sentinel: SentinelView | undefined;
  readonly haproxy: readonly HaproxyServer[] | undefined;
  /** Answer of the node's own health URL: 0 when there was none, undefined when it was not asked. */
  readonly health: number | undefined;
}

/** What the predicates below look at. */
export interface Picture {
  readonly environment: Environment;
  /** All nodes that answered. */
  readonly facts: ReadonlyMap<string, NodeLook>;
  /** Nodes that have a release: the others are not expected to do anything yet. */
  readonly deployed: ReadonlySet<string>;
  readonly primary: EnvironmentNode;
  /** The primary's offset at an earlier look: a replica that lacks some of that stands still, however small its lag looks. */
  readonly wroteBefore?: number | undefined;
}

/** From the worst to almost well: on its way from one to the next a node makes progress. */
export const conditions = ['unreachable', 'dead', 'starting', 'loading', 'unhealthy'] as const;

/** Why a node is not healthy. */
export interface Trouble {
  readonly condition: (typeof conditions)[number];
  readonly what: string;
  /** Of a condition that takes its time: how far it is, in any unit that grows. */
  readonly done?: number;
}

/** As people read it. */
export function troubleText(trouble: Trouble): string {
  return `${trouble.condition}: ${trouble.what}`;
}

/** Why a node is not healthy as the rest of the fleet sees it, or undefined when it is: what a gate asks again and again. Pure. */
export function unhealthy(picture: Picture, node: EnvironmentNode): Trouble | undefined {
  const facts = picture.facts.get(node.name);
  if (facts === undefined) return { condition: 'unreachable', what: 'it does not answer over ssh' };
  const reading = facts.redis === undefined ? undefined : loading(facts.redis);
  if (reading !== undefined) return reading;
  const down = Object.entries(facts.units).find(([, unit]) => unit.active !== 'active');
  if (down !== undefined) {
    const [name, { active, sub }] = down;
    const starting = active === 'activating' && sub !== 'auto-restart';
    return { condition: starting ? 'starting' : 'dead', what: `${name} is ${active}${sub === '' ? '' : ` (${sub})`}` };
  }
  const reasons = [
    node.roles.includes('redis') ? redisTrouble(picture, node, facts) : undefined,
    node.roles.includes('sentinel') ? sentinelTrouble(picture, facts) : undefined,
    node.roles.includes('app') ? appTrouble(picture, node, facts) : undefined,
    node.roles.includes('lb') ? lbTrouble(picture, facts) : undefined,
    node.roles.includes('monitor') && isSick(facts) ? `Prometheus answers ${facts.health || 'nothing'}` : undefined,
  ];
  const what = reasons.find((reason) => reason !== undefined);
  return what === undefined ? undefined : { condition: 'unhealthy', what };
}

function isSick({ health }: NodeLook): boolean {
  return health !== undefined && health !== 200;
}

/** From its disk, or from the primary. */
function loading(redis: RedisFacts): Trouble | undefined {
  if (!redis.loading && redis.readBytes === undefined) return undefined;
  const what = redis.loading ? 'Redis reads its data from disk' : 'Redis copies the data from its primary';
  const done = redis.readBytes === undefined ? {} : { done: redis.readBytes };
  return { condition: 'loading', what: `${what}, ${redis.readBytes ?? 0} bytes so far`, ...done };
}

function redisTrouble(picture: Picture, node: EnvironmentNode, facts: NodeLook): string | undefined {
  const redis = facts.redis;
  if (redis === undefined) return 'Redis does not answer';
  if (node.name === picture.primary.name)
    return redis.role === 'primary' ? undefined : 'Redis is a replica, not the primary';
  if (redis.follows === undefined) return `Redis is a primary beside ${picture.primary.name}`;
  if (redis.follows.address !== picture.primary.address)
    return `Redis follows ${redis.follows.address}, not ${picture.primary.name}`;
  if (!redis.follows.linkUp) return 'the link to the primary is down';
  return replicaTrouble(picture, node, redis);
}

/** As the primary sees it. */
function replicaTrouble(picture: Picture, node: EnvironmentNode, redis: RedisFacts): string | undefined {
  const primary = picture.facts.get(picture.primary.name)?.redis;
  if (primary === undefined) return `the primary ${picture.primary.name} does not answer`;
  const seen = primary.replicas.find((replica) => replica.address === node.address);
  if (seen === undefined) return `the primary ${picture.primary.name} does not list it as a replica`;
  if (!seen.online) return 'its first synchronisation is not done';
  if (seen.lagS > picture.environment.redis.minReplicasMaxLagS) return `it lags ${seen.lagS} s behind`;
  if (!hasCaughtUp(picture, redis)) return 'it lacks what the primary had written by the last look';
  const behind = primary.offset - redis.offset;
  // They are asked at almost the same time. What is under way meanwhile is far less.
  const most = (picture.environment.redis.backlogMb * 2 ** 20) / 16;
  return behind > most ? `it is ${behind} bytes behind` : undefined;
}

/** Whether a replica has all that the primary had written by an earlier look; true when there was none. Pure. */
export function hasCaughtUp({ wroteBefore }: Picture, replica: Pick<RedisFacts, 'offset'> | undefined): boolean {
  return wroteBefore === undefined || (replica !== undefined && replica.offset >= wroteBefore);
}

function sentinelTrouble(picture: Picture, facts: NodeLook): string | undefined {
  const view = facts.sentinel;
  if (view === undefined) return 'Sentinel does not answer';
  const { environment, deployed } = picture;
  if (view.primary.host !== picture.primary.address) return `Sentinel names ${view.primary.host} as primary`;
  if (view.flags.join() !== 'master') return `Sentinel says of the primary: ${view.flags.join()}`;
  const others = nodesOf(environment, 'sentinel').filter((node) => deployed.has(node.name)).length - 1;
  if (view.otherSentinels.length !== others)
    return `Sentinel knows ${view.otherSentinels.length} others instead of exactly ${others}`;
  const odd = view.otherSentinels.find((other) => other.flags.join() !== 'sentinel');
  if (odd !== undefined) return `Sentinel says of the one at ${odd.host}: ${odd.flags.join()}`;
  const replicas = nodesOf(environment, 'redis').filter((node) => deployed.has(node.name)).length - 1;
  if (view.replicas.length !== replicas)
    return `Sentinel knows ${view.replicas.length} replicas instead of ${replicas}`;
  const lost = view.replicas.find((replica) => replica.flags.join() !== 'slave' || !replica.linkUp);
  if (lost !== undefined)
    return `Sentinel says of the replica at ${lost.host}: ${lost.flags.join()}, link ${lost.linkUp ? 'up' : 'down'}`;
  // With fewer than a majority there is nothing to reach yet.
  if (others + 1 >= environment.sentinel.quorum && !view.quorumOk) return view.quorumMessage;
  return undefined;
}

function appTrouble(picture: Picture, node: EnvironmentNode, facts: NodeLook): string | undefined {
  if (picture.environment.haproxy.mode === 'http' && isSick(facts))
    return `/healthz answers ${facts.health || 'nothing'}`;
  for (const lb of nodesOf(picture.environment, 'lb').filter((each) => picture.deployed.has(each.name))) {
    const status = serverStatus(picture.facts.get(lb.name), node.name);
    if (status !== 'UP') return `HAProxy on ${lb.name} says ${status ?? 'nothing'}`;
  }
  return undefined;
}

function lbTrouble(picture: Picture, facts: NodeLook): string | undefined {
  if (facts.haproxy === undefined) return 'HAProxy does not answer on its socket';
  for (const app of nodesOf(picture.environment, 'app').filter((each) => picture.deployed.has(each.name))) {
    const server = facts.haproxy.find((each) => each.backend === 'app' && each.server === app.name);
    if (server === undefined) return `HAProxy has no server ${app.name}`;
    if (server.status !== 'UP') return `HAProxy says that ${app.name} is ${server.status} (${server.check})`;
  }
  return sharedTrouble(picture.environment, picture.facts);
}

export function serverStatus(lb: NodeLook | undefined, app: string): string | undefined {
  return lb?.haproxy?.find((server) => server.backend === 'app' && server.server === app)?.status;
}
