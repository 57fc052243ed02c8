import { initialPrimary, nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import type { NodeFacts } from './facts.ts';

/**
 * The Redis node that is primary: what most of the environment's Sentinels say, of those that have been deployed; before there is one,
 * the one Redis that is a primary; on a fleet without any Redis yet, the environment's. Pure. Throws a FiredrillError (`gate`) when that is not clear: a guess could cost data.
 */
export function findPrimary(environment: Environment, facts: ReadonlyMap<string, NodeFacts>): EnvironmentNode {
  const redis = nodesOf(environment, 'redis');
  const told = nodesOf(environment, 'sentinel').map((node) => facts.get(node.name));
  const deployed = told.filter((node) => node?.sentinel !== undefined || node?.running['redis-sentinel'] !== undefined);
  const votes = deployed.flatMap((node) => (node?.sentinel === undefined ? [] : [node.sentinel.primary.host]));
  if (deployed.length > 0) {
    // Of all of them, not of those that answer: the few on the wrong side of a partition would name the old primary.
    const elected = redis.find((node) => votes.filter((vote) => vote === node.address).length > deployed.length / 2);
    if (elected !== undefined) return elected;
    const named = votes.length === 0 ? '' : ` and name ${[...new Set(votes)].join(', ')}`;
    throw unclear(
      `${votes.length} of ${deployed.length} Sentinels answer${named}`,
      'Start redis-sentinel where it is down, or wait for the failover to end; then run again',
    );
  }
  const primaries = redis.filter((node) => facts.get(node.name)?.redis?.role === 'primary');
  const only = primaries[0];
  if (primaries.length === 1 && only !== undefined) return only;
  if (primaries.length > 1)
    throw unclear(
      `there is no Sentinel yet, and ${primaries.map((node) => node.name).join(' and ')} are both primary`,
      'Make the one with the older data a replica (REPLICAOF), then run again',
    );
  const old = redis.filter((node) => facts.get(node.name)?.running['redis-server'] !== undefined);
  if (old.length === 0) return initialPrimary(environment);
  // All of Redis is down: whoever was primary last is the one that follows nobody; without it running we can't tell.
  throw unclear(
    `there is no Sentinel yet and no primary answers, but ${old.map((node) => node.name).join(', ')} held data`,
    'Start redis-server on the node that was primary last, then run again',
  );
}

function unclear(what: string, fix: string): FiredrillError {
  return new FiredrillError({
    code: 'gate',
    phase: 'facts',
    what: `who is the Redis primary is not clear: ${what}`,
    fix,
  });
}
