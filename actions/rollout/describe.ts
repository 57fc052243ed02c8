import { diffLines } from './diff.ts';
import { interrupts, type NodePlan } from './plan.ts';
import type { Step } from './steps.ts';

/**
 * What a rollout would do, for people: the steps in order, each node's packages, units and diffs without secrets. `holder`: the load
 * balancer that has the shared address. Pure.
 */
export function describePlans(
  plans: readonly NodePlan[],
  steps: readonly Step[],
  redact: (text: string) => string,
  holder?: string,
): string[] {
  if (plans.every((plan) => plan.action === 'nothing')) return ['nothing to change'];
  const byName = new Map(plans.map((plan) => [plan.node, plan]));
  return steps.flatMap((step) =>
    step.kind === 'handover'
      ? [`${step.from}: hands over to a replica first`]
      : step.nodes.flatMap((name) => [
          ...describeNode(byName.get(name), redact),
          ...(leaves(byName.get(name), holder)
            ? [
                `  ${name} holds the shared address and hands it over first: new connections go to the other load balancer`,
              ]
            : []),
          ...(refusesClients(byName.get(name), plans)
            ? [`  ${name} is the only load balancer: until haproxy listens again it refuses clients`]
            : []),
        ]),
  );
}

/** The units hand it over as they stop; a reload keeps it. */
function leaves(plan: NodePlan | undefined, holder: string | undefined): boolean {
  return plan !== undefined && plan.node === holder && interrupts(plan);
}

/** A restart, unlike a reload, closes the sockets. */
function refusesClients(plan: NodePlan | undefined, plans: readonly NodePlan[]): boolean {
  const balances = (each: NodePlan) => each.release.units.includes('haproxy');
  const restarted = plan?.units.some((each) => each.unit === 'haproxy' && each.how === 'restart') ?? false;
  return plan?.action === 'change' && restarted && plans.filter(balances).length === 1;
}

function describeNode(plan: NodePlan | undefined, redact: (text: string) => string): string[] {
  if (plan === undefined) return [];
  return [
    `${plan.node}: ${plan.action}, release ${plan.previous?.slice(0, 12) ?? 'none'} -> ${plan.release.digest.slice(0, 12)}`,
    ...plan.packages.map((each) => `  package ${each.name} ${each.from ?? 'none'} -> ${each.to}`),
    ...plan.units.map((each) => `  ${each.how} ${each.unit}: ${each.why}`),
    ...(plan.refused === undefined ? [] : [`  refused, this release failed here ${plan.refused}`]),
    ...fileLines(plan, redact),
  ];
}

function fileLines(plan: NodePlan, redact: (text: string) => string): string[] {
  return plan.files.flatMap((file) => [
    `  ${file.kind} ${file.path}`,
    ...(file.kind === 'change' && file.before !== undefined && file.after !== undefined
      ? diffLines(redact(file.before).trimEnd(), redact(file.after).trimEnd()).map((line) => `    ${line}`)
      : []),
  ]);
}

/** What a release changed on a node, for the error when it failed there; not more than people read. Pure. */
export function changedLines(plan: NodePlan, redact: (text: string) => string): string[] {
  const lines = plan.action === 'change' ? fileLines(plan, redact) : [];
  if (lines.length === 0) return [];
  return [`what was changed on ${plan.node}:`, ...lines.slice(0, 40), ...(lines.length > 40 ? ['  ...'] : [])];
}
