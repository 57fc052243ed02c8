import type { Handover } from './hand-over-step.ts';
import type { FileChange, NodePlan, UnitChange } from './plan.ts';
import type { Phase } from './remote.ts';

/** A phase with its place in the rollout. */
export interface TimedPhase extends Phase {
  /** From the rollout's beginning to the phase's end. */
  readonly endMs: number;
}

export interface NodeReport {
  readonly node: string;
  readonly action: NodePlan['action'];
  readonly digest: string;
  readonly previous: string | undefined;
  readonly files: readonly Pick<FileChange, 'path' | 'kind'>[];
  readonly units: readonly UnitChange[];
  /** Package to the exact build that the node has. */
  readonly packages: Readonly<Record<string, string>>;
  readonly phases: readonly TimedPhase[];
}

export interface RolloutReport {
  readonly version: 1;
  readonly environment: string;
  readonly mode: 'apply' | 'plan' | 'rollback';
  readonly run: string;
  readonly generation: number;
  readonly startedAt: string;
  readonly ms: number;
  readonly ok: boolean;
  readonly changed: boolean;
  readonly primary: string;
  readonly handovers: readonly Handover[];
  readonly nodes: readonly NodeReport[];
  /** Releases that did not pass on their node; they are refused there until they change, or by force. */
  readonly bad: readonly { readonly node: string; readonly digest: string; readonly why: string }[];
  readonly error: string | undefined;
}

/** One node's part, from its plan and what it reported. Pure. */
export function nodeReport(
  plan: NodePlan,
  packages: Readonly<Record<string, string>>,
  phases: readonly TimedPhase[],
): NodeReport {
  const installed = phases
    .filter((phase) => phase.phase === 'install' || phase.phase === 'switch')
    .flatMap((phase) => [...phase.detail.matchAll(/^([a-z0-9][a-z0-9+.-]*)=(\S+)$/gm)])
    .map((match) => [match[1], match[2]]);
  return {
    node: plan.node,
    action: plan.action,
    digest: plan.release.digest,
    previous: plan.previous,
    files: plan.files.map(({ path, kind }) => ({ path, kind })),
    units: plan.units,
    packages: { ...packages, ...Object.fromEntries(installed) },
    phases,
  };
}
