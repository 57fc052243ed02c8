import { randomBytes } from 'node:crypto';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { progressLine } from '../core/log.ts';
import type { NodeFacts } from './facts.ts';
import type { Fleet, Member } from './fleet.ts';
import type { Handover } from './hand-over-step.ts';
import type { NodePlan } from './plan.ts';
import type { Reporter, Run } from './remote.ts';

/** What a rollout works with. */
export interface Engine {
  readonly environment: Environment;
  readonly fleet: Fleet;
  readonly run: Run;
  readonly reporter: Reporter;
  readonly plans: readonly NodePlan[];
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly primary: EnvironmentNode;
  /** No new node is begun once it aborts. */
  readonly signal: AbortSignal;
}

/** How far it is. */
export interface State {
  readonly engine: Engine;
  /** Nodes that have a release. */
  readonly deployed: Set<string>;
  readonly serving: boolean;
  readonly handovers: Handover[];
  /** In the order in which they were confirmed. */
  readonly confirmed: Part[];
  /** Roles whose first node has passed: the canary. */
  readonly proved: Set<string>;
  /** Releases that did not pass on their node. */
  readonly bad: { readonly node: string; readonly digest: string; readonly why: string }[];
  primary: EnvironmentNode;
  /** The primary's offset when it was looked at last. */
  wrote: number | undefined;
  /** Whether the step that is at work has changed a node. */
  touched: boolean;
}

/** One node's part in a rollout. */
export interface Part {
  readonly node: EnvironmentNode;
  readonly member: Member;
  readonly plan: NodePlan;
  /** Only who knows it can confirm what we make of the node. */
  readonly nonce: string;
}

export function partOf(state: State, name: string): Part {
  const member = state.engine.fleet.get(name);
  const plan = state.engine.plans.find((each) => each.node === name);
  if (member === undefined || plan === undefined)
    throw new FiredrillError({ code: 'bug', what: `no plan for ${name}` });
  return { node: member.node, member, plan, nonce: randomBytes(16).toString('hex') };
}

/** Reports a phase of ours as the nodes report theirs. */
export function phaseDone(
  state: State,
  node: string,
  phase: string,
  begun: number,
  detail: string,
  waitedMs?: number,
): void {
  const ms = Math.round(performance.now() - begun);
  const waited = waitedMs === undefined ? {} : { waitedMs };
  state.engine.reporter.onPhase(node, { phase, ok: true, ms, ...waited, detail });
  state.engine.reporter.log.info(progressLine(node, phase, ms, detail));
}
