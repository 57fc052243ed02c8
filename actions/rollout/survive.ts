import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode, Role } from '../core/environment/schema.ts';
import { hasCaughtUp, type Picture, serverStatus } from '../core/health.ts';
import type { RedisFacts } from '../core/redis.ts';
import { unitsOf } from '../core/units.ts';

/**
 * Why the fleet would not survive losing this node for a while, together with the others that go `away`, or undefined when it would:
 * asked before a node that serves is restarted. Pure.
 */
export function wouldMiss(
  picture: Picture,
  node: EnvironmentNode,
  away: readonly EnvironmentNode[] = [node],
): string | undefined {
  const reasons = node.roles.map((role) => {
    if (role === 'redis') return redisMissed(picture, node, away);
    if (role === 'sentinel') return sentinelMissed(picture, away);
    if (role === 'app') return appMissed(picture, away);
    if (role === 'lb') return lbMissed(picture, away);
    return undefined;
  });
  return reasons.find((reason) => reason !== undefined);
}

/** The nodes of a role that stay. */
function staying(picture: Picture, role: Role, away: readonly EnvironmentNode[]): EnvironmentNode[] {
  return nodesOf(picture.environment, role).filter((each) => !away.includes(each));
}

/** Replicas that have to be linked for a write to be acknowledged. */
export function replicasNeeded({ redis, app }: Environment): number {
  return Math.max(redis.minReplicasToWrite, app.durability === 'async' ? 0 : app.replicasRequired);
}

/** Sentinels that have to be well for a failover, of so many. */
export function sentinelsNeeded({ sentinel }: Environment, all: number): number {
  return Math.max(sentinel.quorum, Math.floor(all / 2) + 1);
}

function redisMissed(picture: Picture, node: EnvironmentNode, away: readonly EnvironmentNode[]): string | undefined {
  if (node.name === picture.primary.name) return 'it is the Redis primary';
  const primary = picture.facts.get(picture.primary.name)?.redis;
  if (primary === undefined) return `the primary ${picture.primary.name} does not answer`;
  const { redis } = picture.environment;
  const needed = replicasNeeded(picture.environment);
  const left = primary.replicas.filter(
    (replica) =>
      away.every((each) => replica.address !== each.address) &&
      replica.online &&
      replica.lagS <= redis.minReplicasMaxLagS &&
      hasCaughtUp(picture, redisAt(picture, replica.address)),
  ).length;
  if (left < needed) return `${left} other replicas are linked and caught up; writes need ${needed}`;
  return nobodyToPromote(picture, away);
}

/** One that has just come back is let into the election after some seconds, and the Sentinels hear of it within ten. */
function nobodyToPromote(picture: Picture, away: readonly EnvironmentNode[]): string | undefined {
  const views = nodesOf(picture.environment, 'sentinel').flatMap(
    (each) => picture.facts.get(each.name)?.sentinel ?? [],
  );
  const knowing = views.filter(({ replicas }) =>
    replicas.some(
      ({ host, priority, flags }) =>
        priority > 0 && flags.join() === 'slave' && away.every((each) => each.address !== host),
    ),
  );
  if (knowing.length === views.length) return undefined;
  return `${knowing.length} of ${views.length} Sentinels know another replica that they could promote`;
}

function redisAt({ environment, facts }: Picture, address: string): RedisFacts | undefined {
  const node = environment.nodes.find((each) => each.address === address);
  return node === undefined ? undefined : facts.get(node.name)?.redis;
}

function sentinelMissed(picture: Picture, away: readonly EnvironmentNode[]): string | undefined {
  const all = nodesOf(picture.environment, 'sentinel').filter((each) => picture.deployed.has(each.name));
  const others = staying(picture, 'sentinel', away).filter((each) => all.includes(each));
  const good = others.filter((each) => {
    const view = picture.facts.get(each.name)?.sentinel;
    return view !== undefined && view.flags.join() === 'master' && view.primary.host === picture.primary.address;
  });
  const needed = sentinelsNeeded(picture.environment, all.length);
  if (good.length < needed) return `${good.length} other Sentinels are well; a failover needs ${needed}`;
  const refused = good.map((each) => picture.facts.get(each.name)?.sentinel).find((view) => view?.quorumOk === false);
  return refused?.quorumMessage;
}

function appMissed(picture: Picture, away: readonly EnvironmentNode[]): string | undefined {
  const others = staying(picture, 'app', away);
  for (const lb of nodesOf(picture.environment, 'lb').filter((each) => picture.deployed.has(each.name))) {
    const facts = picture.facts.get(lb.name);
    if (!others.some((other) => serverStatus(facts, other.name) === 'UP'))
      return `HAProxy on ${lb.name} has no other server up`;
  }
  return undefined;
}

function lbMissed(picture: Picture, away: readonly EnvironmentNode[]): string | undefined {
  const others = staying(picture, 'lb', away);
  // The only load balancer is missed by design; saying so at each rollout would make its repair impossible.
  if (others.length === 0) return undefined;
  const well = others.some((other) => {
    const facts = picture.facts.get(other.name);
    const units = unitsOf(picture.environment, other).map((unit) => facts?.units[unit]?.active);
    return units.every((state) => state === 'active') && facts?.haproxy?.some(({ status }) => status === 'UP');
  });
  return well ? undefined : 'no other load balancer is well';
}
