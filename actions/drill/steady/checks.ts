import { nodesOf } from '../../core/environment/nodes.ts';
import type { Environment } from '../../core/environment/schema.ts';
import type { Answer, FleetFacts } from './facts.ts';

/** Why the fleet is not steady: one check on one node. */
export interface Unsteady {
  readonly node: string;
  readonly check: 'unit' | 'sentinel' | 'quorum' | 'primary' | 'replica' | 'load balancer' | 'ready';
  readonly what: string;
}

/** A replica may be this far behind (bytes): what is under way while both are asked. */
const lagBytes = 256 * 1024;

/** All that keeps the fleet from its steady state; none when it is steady. Pure. */
export function findUnsteady(environment: Environment, facts: FleetFacts): Unsteady[] {
  return [
    ...units(facts),
    ...sentinels(environment, facts),
    ...replication(environment, facts),
    ...balancers(environment, facts),
    ...ready(facts),
  ];
}

/** The address of the primary that every Sentinel names, undefined while they differ or one is silent. Pure. */
export function agreedPrimary(facts: FleetFacts): string | undefined {
  const named = Object.values(facts.sentinels).map((answer) => answered(answer)?.primary.host);
  return named.every((host) => host === named[0]) ? named[0] : undefined;
}

function units(facts: FleetFacts): Unsteady[] {
  return Object.entries(facts.units).flatMap(([node, answer]) => {
    if ('error' in answer) return [{ node, check: 'unit', what: answer.error } as const];
    return Object.entries(answer.value)
      .filter(([, state]) => state !== 'active')
      .map(([unit, state]) => ({ node, check: 'unit', what: `${unit} is ${state}` }) as const);
  });
}

function sentinels(environment: Environment, facts: FleetFacts): Unsteady[] {
  const sentinelCount = nodesOf(environment, 'sentinel').length;
  const replicas = nodesOf(environment, 'redis').length - 1;
  const named = new Set<string>();
  const found: Unsteady[] = [];
  for (const [node, answer] of Object.entries(facts.sentinels)) {
    const say = (what: string, check: Unsteady['check'] = 'sentinel') => found.push({ node, check, what });
    if ('error' in answer) {
      say(answer.error);
      continue;
    }
    const view = answer.value;
    named.add(view.primary.host);
    if (!view.quorumOk) say(view.quorumMessage, 'quorum');
    if (view.otherSentinels.length !== sentinelCount - 1)
      say(`knows ${view.otherSentinels.length} other Sentinels, not ${sentinelCount - 1}`);
    if (view.replicas.length !== replicas) say(`knows ${view.replicas.length} replicas, not ${replicas}`);
    for (const flag of badFlags(view.flags, 'master')) say(`flags the primary ${flag}`);
    for (const each of view.otherSentinels)
      for (const flag of badFlags(each.flags, 'sentinel')) say(`flags the Sentinel at ${each.host} ${flag}`);
    for (const each of view.replicas) {
      for (const flag of badFlags(each.flags, 'slave')) say(`flags the replica at ${each.host} ${flag}`);
      if (!each.linkUp) say(`sees the replica at ${each.host} without a link to its primary`);
    }
  }
  if (named.size > 1)
    found.push({
      node: 'sentinels',
      check: 'sentinel',
      what: `they name different primaries: ${[...named].join(', ')}`,
    });
  return found;
}

function badFlags(flags: readonly string[], own: string): string[] {
  return flags.filter((flag) => flag !== own);
}

function replication(environment: Environment, facts: FleetFacts): Unsteady[] {
  const address = agreedPrimary(facts);
  if (address === undefined) return []; // told by the Sentinels' check
  const primaryName = environment.nodes.find((node) => node.address === address)?.name;
  if (primaryName === undefined)
    return [{ node: 'sentinels', check: 'primary', what: `they name ${address}, which is no node of the environment` }];
  const primary = answered(facts.redis[primaryName]);
  return Object.entries(facts.redis).flatMap(([node, answer]) => {
    const check = node === primaryName ? 'primary' : 'replica';
    const say = (what: string): Unsteady[] => [{ node, check, what }];
    if ('error' in answer) return say(answer.error);
    const { role, primary: followed, offset, connectedReplicas } = answer.value;
    const replicas = Object.keys(facts.redis).length - 1;
    if (node === primaryName) {
      if (role !== 'master') return say('the Sentinels call it the primary, itself says replica');
      return connectedReplicas === replicas ? [] : say(`${connectedReplicas} replicas are linked, not ${replicas}`);
    }
    if (role !== 'slave' || followed === undefined) return say('a second primary');
    if (followed.host !== address) return say(`follows ${followed.host}, not the primary ${address}`);
    if (!followed.linkUp) return say('master_link_status is down');
    const behind = (primary?.offset ?? offset) - offset;
    return behind > lagBytes ? say(`${behind} bytes behind the primary`) : [];
  });
}

function balancers(environment: Environment, facts: FleetFacts): Unsteady[] {
  const apps = nodesOf(environment, 'app').map((node) => node.name);
  return Object.entries(facts.haproxy).flatMap(([node, answer]) => {
    const say = (what: string): Unsteady => ({ node, check: 'load balancer', what });
    if ('error' in answer) return [say(answer.error)];
    return apps.flatMap((app) => {
      const server = answer.value.find((each) => each.server === app);
      if (server === undefined) return [say(`HAProxy has no server ${app}`)];
      return server.status === 'UP' ? [] : [say(`HAProxy sees ${app} ${server.status} (${server.check})`)];
    });
  });
}

function ready({ ready: answer }: FleetFacts): Unsteady[] {
  const node = 'load balancer';
  if ('error' in answer) return [{ node, check: 'ready', what: `/readyz: ${answer.error}` }];
  return answer.value === 200 ? [] : [{ node, check: 'ready', what: `/readyz answers ${answer.value}` }];
}

function answered<T>(answer: Answer<T> | undefined): T | undefined {
  return answer !== undefined && 'value' in answer ? answer.value : undefined;
}
