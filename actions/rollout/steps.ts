import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, Role } from '../core/environment/schema.ts';
import { holderOf } from '../core/shared-address.ts';
import type { NodeFacts } from './facts.ts';
import { interrupts, type NodePlan } from './plan.ts';
import { replicasNeeded, sentinelsNeeded } from './survive.ts';

export type Step =
  /** Nodes that are changed at the same time; more than one only where none of them serves yet. */
  | { readonly kind: 'nodes'; readonly nodes: readonly string[] }
  /** The primary hands over to a replica before it is restarted. */
  | { readonly kind: 'handover'; readonly from: string };

/** While nothing serves: what others need comes first. */
const bringUpOrder = ['primary', 'replica', 'sentinel', 'app', 'lb', 'monitor'] as const;
/** While it serves: what harms least when it goes wrong comes first. */
const servingOrder = ['monitor', 'sentinel', 'replica', 'primary', 'app', 'lb'] as const;
type Rank = (typeof bringUpOrder)[number];

/**
 * The order of a rollout. New nodes of a fleet that serves nothing are changed together, role by role; everything else one at a time, or
 * as many as rollout.maxParallel says.
 * `primary` is the node that is primary now, or will be. Pure.
 */
export function orderSteps(
  environment: Environment,
  plans: readonly NodePlan[],
  facts: ReadonlyMap<string, NodeFacts>,
  primary: string,
): Step[] {
  const serving = isServing(facts);
  const order: readonly Rank[] = serving ? servingOrder : bringUpOrder;
  const due = plans.filter((plan) => plan.action !== 'nothing');
  const rolesOf = (node: string) => environment.nodes.find((each) => each.name === node)?.roles ?? [];
  const holder = holderOf(environment, facts);
  const rank = (plan: NodePlan) => rankOf(rolesOf(plan.node), plan.node === primary);
  return order.flatMap((each): Step[] => {
    const group = due
      .filter((plan) => rank(plan) === each)
      .sort((a, b) => brokenFirst(a, facts) - brokenFirst(b, facts) || holderLast(a, holder) - holderLast(b, holder));
    const fresh = serving ? [] : group.filter((plan) => plan.action === 'install').map((plan) => plan.node);
    const rest = group.filter((plan) => !fresh.includes(plan.node));
    const together: Step[] = fresh.length === 0 ? [] : [{ kind: 'nodes', nodes: fresh }];
    const size = serving ? parallel(environment, each) : 1;
    return [...together, ...waves(rest, size).flatMap((wave) => stepsOf(wave, facts, primary))];
  });
}

/** The first alone, the canary; then as many together as may be. */
function waves(plans: readonly NodePlan[], size: number): NodePlan[][] {
  const [canary, ...rest] = plans;
  if (canary === undefined) return [];
  const later = Array.from({ length: Math.ceil(rest.length / size) }, (_, index) =>
    rest.slice(index * size, (index + 1) * size),
  );
  return [[canary], ...later];
}

/** Nodes of a rank that may be changed at the same time: what rollout.maxParallel allows, and the fleet can do without. */
function parallel(environment: Environment, rank: Rank): number {
  if (rank === 'primary') return 1;
  const role = rank === 'replica' ? 'redis' : rank;
  const all = nodesOf(environment, role).length;
  const needed = {
    redis: replicasNeeded(environment) + 1,
    sentinel: sentinelsNeeded(environment, all),
    app: 1,
    lb: 1,
    monitor: 0,
  };
  return Math.max(1, Math.min(environment.rollout.maxParallel[role] ?? 1, all - needed[role]));
}

/** What an earlier run left half done is settled before a node that is well is touched. */
function brokenFirst(plan: NodePlan, facts: ReadonlyMap<string, NodeFacts>): number {
  const units = facts.get(plan.node)?.units ?? {};
  return plan.release.units.every((unit) => units[unit]?.active === 'active') ? 1 : 0;
}

/** The load balancer that clients use meets a peer that has passed. */
function holderLast(plan: NodePlan, holder: string | undefined): number {
  return plan.node === holder ? 1 : 0;
}

/** A node with two roles takes its place by the one that is most delicate. */
function rankOf(roles: readonly Role[], isPrimary: boolean): Rank {
  if (roles.includes('redis')) return isPrimary ? 'primary' : 'replica';
  return roles.includes('sentinel')
    ? 'sentinel'
    : roles.includes('app')
      ? 'app'
      : roles.includes('lb')
        ? 'lb'
        : 'monitor';
}

function stepsOf(wave: readonly NodePlan[], facts: ReadonlyMap<string, NodeFacts>, primary: string): Step[] {
  const step: Step = { kind: 'nodes', nodes: wave.map((plan) => plan.node) };
  const hasReplicas = facts.get(primary)?.redis?.replicas.some((replica) => replica.online) ?? false;
  const handsOn = hasReplicas && wave.some((plan) => handsOver(plan, primary));
  return handsOn ? [{ kind: 'handover', from: primary }, step] : [step];
}

/** Whether a plan restarts the Redis that is primary. */
export function handsOver(plan: NodePlan, primary: string): boolean {
  const restarted = plan.units.some((unit) => unit.unit === 'redis-server' && unit.how === 'restart');
  return plan.node === primary && interrupts(plan) && restarted;
}

/** Whether clients may be served: some load balancer has a server up, or some app runs. */
export function isServing(facts: ReadonlyMap<string, NodeFacts>): boolean {
  return [...facts.values()].some(
    (node) =>
      node.units.sessiond?.active === 'active' ||
      (node.haproxy ?? []).some((server) => server.backend === 'app' && server.status.startsWith('UP')),
  );
}
