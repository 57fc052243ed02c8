import { mapAtMost } from '../core/at-most.ts';
import type { EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeFacts } from './facts.ts';
import { type Fleet, readFacts } from './fleet.ts';
import { planRollback } from './kept.ts';
import { waitForLeases } from './leases.ts';
import { type NodePlan, planNode } from './plan.ts';
import { findPrimary } from './primary.ts';
import { buildReleases, type ReleaseSources } from './release.ts';
import { settlePending } from './settle.ts';

export interface Planned {
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly plans: readonly NodePlan[];
  readonly primary: EnvironmentNode;
}

/** What to plan: the work tree's releases, or the way back. */
export type Goal = 'apply' | 'rollback';

/** Nodes that are asked at the same time. */
const atOnce = 50;

/** The lease of a run that died is over by then, by a node's clock and after the facts were read. */
const leaseMarginMs = 10_000;

/** The plan once no other run holds a node that is due, and with what a dead one left half done settled. */
export async function planWhenFree(
  goal: Goal,
  sources: ReleaseSources,
  fleet: Fleet,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<Planned> {
  const deadline = performance.now() + sources.environment.rollout.leaseMs + leaseMarginMs;
  for (;;) {
    const facts = await readAll(goal, sources, fleet);
    if (await settlePending(fleet, facts, log)) continue;
    const planned = planFrom(goal, sources, facts);
    const due = planned.plans.filter((plan) => plan.action !== 'nothing').map((plan) => plan.node);
    if (!(await waitForLeases(facts, due, { sources, fleet, log, signal, deadline }))) return planned;
  }
}

/** What is, what should be, and the difference. */
export async function planFleet(sources: ReleaseSources, fleet: Fleet): Promise<Planned> {
  return planFrom('apply', sources, await readAll('apply', sources, fleet));
}

async function readAll(goal: Goal, sources: ReleaseSources, fleet: Fleet): Promise<ReadonlyMap<string, NodeFacts>> {
  const told = await mapAtMost(atOnce, buildReleases(sources), async (release) => {
    const member = fleet.get(release.node);
    const digest = goal === 'rollback' ? 'any' : release.digest;
    return member === undefined ? [] : [await readFacts(sources.environment, member, release, digest)];
  });
  return new Map(told.flat().map((each) => [each.node, each]));
}

/** The seeds of new nodes name the primary that there is now. Pure. */
function planFrom(goal: Goal, sources: ReleaseSources, facts: ReadonlyMap<string, NodeFacts>): Planned {
  const primary = findPrimary(sources.environment, facts);
  if (goal === 'rollback') return { facts, primary, plans: planRollback(sources.environment.nodes, facts) };
  const plans = buildReleases(sources, primary).flatMap((release) => {
    const each = facts.get(release.node);
    return each === undefined ? [] : [planNode(release, each)];
  });
  return { facts, plans, primary };
}

/** Throws a FiredrillError (`gate`) when a release that failed on its node would be tried there again. Pure. */
export function refuseBad(plans: readonly NodePlan[]): void {
  const refused = plans.filter((plan) => plan.refused !== undefined);
  const [first] = refused;
  if (first === undefined) return;
  const lines = refused.map(
    (plan) => `${plan.node}: release ${plan.release.digest.slice(0, 12)} failed ${plan.refused}`,
  );
  throw new FiredrillError({
    code: 'gate',
    phase: 'plan',
    what: `refused, nothing was changed\n${lines.join('\n')}`,
    fix: 'Change what failed in a new commit, or run with force to try the same again',
  });
}
