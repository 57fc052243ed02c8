import { nodesOf } from '../core/environment/nodes.ts';
import type { EnvironmentNode } from '../core/environment/schema.ts';
import { type Picture, serverStatus } from './settled.ts';

/**
 * Why the fleet would not survive losing this node for a while, or undefined when it would: asked before a node that serves is
 * restarted. Pure.
 */
export function wouldMiss(picture: Picture, node: EnvironmentNode): string | undefined {
  const reasons = node.roles.map((role) => {
    if (role === 'redis') return redisMissed(picture, node);
    if (role === 'sentinel') return sentinelMissed(picture, node);
    if (role === 'app') return appMissed(picture, node);
    if (role === 'lb') return lbMissed(picture, node);
    return undefined;
  });
  return reasons.find((reason) => reason !== undefined);
}

function redisMissed(picture: Picture, node: EnvironmentNode): string | undefined {
  if (node.name === picture.primary.name) return 'it is the Redis primary';
  const primary = picture.facts.get(picture.primary.name)?.redis;
  if (primary === undefined) return `the primary ${picture.primary.name} does not answer`;
  const { redis, app } = picture.environment;
  const needed = Math.max(redis.minReplicasToWrite, app.durability === 'replicated' ? app.replicasRequired : 0);
  const left = primary.replicas.filter(
    (replica) => replica.address !== node.address && replica.online && replica.lagS <= redis.minReplicasMaxLagS,
  ).length;
  return left >= needed ? undefined : `${left} other replicas are linked and caught up; writes need ${needed}`;
}

function sentinelMissed(picture: Picture, node: EnvironmentNode): string | undefined {
  const all = nodesOf(picture.environment, 'sentinel').filter((each) => picture.deployed.has(each.name));
  const others = all.filter((each) => each.name !== node.name);
  const good = others.filter((each) => {
    const view = picture.facts.get(each.name)?.sentinel;
    return view !== undefined && view.flags.join() === 'master' && view.primary.host === picture.primary.address;
  });
  const needed = Math.max(picture.environment.sentinel.quorum, Math.floor(all.length / 2) + 1);
  if (good.length < needed) return `${good.length} other Sentinels are well; a failover needs ${needed}`;
  const refused = good.map((each) => picture.facts.get(each.name)?.sentinel).find((view) => view?.quorumOk === false);
  return refused?.quorumMessage;
}

function appMissed(picture: Picture, node: EnvironmentNode): string | undefined {
  const others = nodesOf(picture.environment, 'app').filter((each) => each.name !== node.name);
  for (const lb of nodesOf(picture.environment, 'lb').filter((each) => picture.deployed.has(each.name))) {
    const facts = picture.facts.get(lb.name);
    if (!others.some((other) => serverStatus(facts, other.name) === 'UP'))
      return `HAProxy on ${lb.name} has no other server up`;
  }
  return undefined;
}

function lbMissed(picture: Picture, node: EnvironmentNode): string | undefined {
  const others = nodesOf(picture.environment, 'lb').filter((each) => each.name !== node.name);
  // The only load balancer is missed by design; saying so at each rollout would make its repair impossible.
  if (others.length === 0) return undefined;
  const well = others.some((other) => picture.facts.get(other.name)?.units.haproxy?.active === 'active');
  return well ? undefined : 'no other load balancer is well';
}
