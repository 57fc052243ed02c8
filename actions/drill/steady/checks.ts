import { nodesOf } from '../../core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../../core/environment/schema.ts';
import { type NodeLook, type Picture, unhealthy } from '../../core/health.ts';
import type { Answer, FleetFacts } from './facts.ts';

/** Why the fleet is not steady: what is wrong on one node. */
export interface Unsteady {
  readonly node: string;
  readonly what: string;
}

/** All that keeps the fleet from its steady state; none when it is steady. Pure. */
export function findUnsteady(environment: Environment, facts: FleetFacts): Unsteady[] {
  const silent = [facts.units, facts.sentinels, facts.redis, facts.haproxy, facts.shared, facts.monitors].flatMap(
    (answers) =>
      Object.entries(answers).flatMap(([node, answer]) => ('error' in answer ? [{ node, what: answer.error }] : [])),
  );
  const tilted = Object.keys(facts.tilted).filter((node) => answered(facts.tilted[node]) === true);
  const told = environment.nodes.filter((node) => silent.every((each) => each.node !== node.name));
  const inTilt = tilted.map((node) => ({ node, what: 'its Sentinel is in TILT and does nothing' }));
  return [...silent, ...inTilt, ...unwell(environment, facts, told), ...ready(facts)];
}

/** The address of the primary that every Sentinel names, undefined while they differ or one is silent. Pure. */
export function agreedPrimary(facts: FleetFacts): string | undefined {
  const [first, ...others] = named(facts);
  return others.every((host) => host === first) ? first : undefined;
}

/** The load balancer that has the shared address; undefined when none is shared, or nobody has it. Pure. */
export function sharedHolder({ shared }: FleetFacts): string | undefined {
  return Object.keys(shared).find((node) => answered(shared[node]));
}

function named(facts: FleetFacts): (string | undefined)[] {
  return Object.values(facts.sentinels).map((answer) => answered(answer)?.primary.host);
}

function unwell(environment: Environment, facts: FleetFacts, told: readonly EnvironmentNode[]): Unsteady[] {
  const node = 'sentinels';
  const hosts = [...new Set(named(facts).filter((host) => host !== undefined))];
  if (hosts.length > 1) return [{ node, what: `they name different primaries: ${hosts.join(', ')}` }];
  const primary = nodesOf(environment, 'redis').find((each) => each.address === hosts[0]);
  if (primary === undefined) return [{ node, what: `they name ${hosts[0]}, which is no Redis of the environment` }];
  const looks = environment.nodes.map((each) => [each.name, look(each.name, facts)] as const);
  const deployed = new Set(environment.nodes.map((each) => each.name));
  const picture: Picture = { environment, facts: new Map(looks), deployed, primary };
  return told.flatMap((each) => {
    const trouble = unhealthy(picture, each);
    return trouble === undefined ? [] : [{ node: each.name, what: trouble.what }];
  });
}

function look(node: string, facts: FleetFacts): NodeLook {
  const units = Object.entries(answered(facts.units[node]) ?? {}).map(([unit, active]) => [unit, { active, sub: '' }]);
  return {
    units: Object.fromEntries(units),
    redis: answered(facts.redis[node]),
    sentinel: answered(facts.sentinels[node]),
    haproxy: answered(facts.haproxy[node]),
    holdsShared: answered(facts.shared[node]),
    health: undefined,
  };
}

function ready({ ready: answer }: FleetFacts): Unsteady[] {
  const node = 'load balancer';
  if ('error' in answer) return [{ node, what: `/readyz: ${answer.error}` }];
  return answer.value === 200 ? [] : [{ node, what: `/readyz answers ${answer.value}` }];
}

function answered<T>(answer: Answer<T> | undefined): T | undefined {
  return answer !== undefined && 'value' in answer ? answer.value : undefined;
}
