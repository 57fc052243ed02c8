import type { Handover } from './handover.ts';
import type { FileChange, NodePlan, UnitChange } from './plan.ts';
import type { Phase } from './remote.ts';

interface NodeReport {
  readonly node: string;
  readonly action: NodePlan['action'];
  readonly digest: string;
  readonly previous: string | undefined;
  readonly files: readonly Pick<FileChange, 'path' | 'kind'>[];
  readonly units: readonly UnitChange[];
  /** Package to the exact build that the node has. */
  readonly packages: Readonly<Record<string, string>>;
  readonly phases: readonly Phase[];
}

export interface RolloutReport {
  readonly version: 1;
  readonly environment: string;
  readonly mode: 'apply' | 'plan';
  readonly run: string;
  readonly generation: number;
  readonly startedAt: string;
  readonly ms: number;
  readonly ok: boolean;
  readonly changed: boolean;
  readonly primary: string;
  readonly handovers: readonly Handover[];
  readonly nodes: readonly NodeReport[];
  readonly error: string | undefined;
}

/** One node's part, from its plan and what it reported. Pure. */
export function nodeReport(
  plan: NodePlan,
  packages: Readonly<Record<string, string>>,
  phases: readonly Phase[],
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

/** The job summary: what changed where, how, and how long it took. Pure. */
export function summaryMarkdown(report: RolloutReport): string {
  const verdict = report.ok ? (report.changed ? 'done' : 'nothing to change') : 'failed';
  const head = `### Rollout of ${report.environment}: ${report.mode === 'plan' ? 'plan' : verdict}`;
  const changed = report.nodes.filter((node) => node.action !== 'nothing');
  const lines = [
    head,
    '',
    `${changed.length} of ${report.nodes.length} nodes, ${seconds(report.ms)}, primary ${report.primary}`,
  ];
  if (changed.length > 0) {
    lines.push('', '| Node | Files | Units | Time | Release |', '|---|---|---|---|---|');
    for (const node of changed) {
      const files =
        node.action === 'install'
          ? `${node.files.length} new`
          : node.files.map((file) => `${file.path} (${file.kind})`).join('<br>');
      const units = node.units.map((unit) => `${unit.unit}: ${unit.how} (${unit.why})`).join('<br>');
      const ms = node.phases.reduce((sum, phase) => sum + phase.ms, 0);
      lines.push(`| ${node.node} | ${files} | ${units} | ${seconds(ms)} | \`${node.digest.slice(0, 12)}\` |`);
    }
  }
  for (const each of report.handovers)
    lines.push('', `Handed over to ${each.to}: writes waited ${Math.round(each.pausedMs)} ms`);
  if (report.error !== undefined) lines.push('', '```', report.error, '```');
  return `${lines.join('\n')}\n`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
