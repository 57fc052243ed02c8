import type { NodeReport, RolloutReport } from './report.ts';

/** The job summary: what changed where, how, when, and how long it took. Pure. */
export function summaryMarkdown(report: RolloutReport): string {
  const changed = report.nodes.filter((node) => node.action !== 'nothing');
  const lines = [
    `### Rollout of ${report.environment}: ${verdict(report)}`,
    '',
    `${changed.length} of ${report.nodes.length} nodes, ${seconds(report.ms)}, primary ${report.primary}`,
  ];
  if (changed.length > 0)
    lines.push('', '| Node | Files | Units | Time | Release |', '|---|---|---|---|---|', ...changed.map(row));
  for (const each of report.handovers)
    lines.push('', `Handed over to ${each.to}: writes waited ${Math.round(each.pausedMs)} ms`);
  for (const each of report.bad)
    lines.push('', `Release \`${each.digest.slice(0, 12)}\` is refused on ${each.node} from now on: ${each.why}`);
  if (report.error !== undefined) lines.push('', '```', report.error, '```');
  const when = timeline(report);
  if (when.length > 0)
    lines.push('', '<details><summary>Timeline</summary>', '', '```', ...when, '```', '', '</details>');
  return `${lines.join('\n')}\n`;
}

/** One line per node and phase, by its beginning: when it began, node, phase, how long it took, what it said. Pure. */
export function timeline(report: Pick<RolloutReport, 'nodes'>): string[] {
  return report.nodes
    .flatMap((node) => node.phases.map((phase) => ({ node: node.node, ...phase, beginMs: phase.endMs - phase.ms })))
    .filter((each) => each.phase !== 'journal')
    .sort((a, b) => a.beginMs - b.beginMs)
    .map(({ node, phase, beginMs, ms, ok, detail }) => {
      const said = detail.split('\n')[0] ?? '';
      const text = ok ? said : `FAILED ${said}`;
      return `${String(beginMs).padStart(8)} ms  ${node.padEnd(12)} ${phase.padEnd(10)} ${String(ms).padStart(7)} ms  ${text}`.trimEnd();
    });
}

function verdict(report: RolloutReport): string {
  if (report.mode === 'plan') return 'plan';
  const done = report.mode === 'rollback' ? 'taken back' : 'done';
  return report.ok ? (report.changed ? done : 'nothing to change') : 'failed';
}

function row(node: NodeReport): string {
  const files =
    node.action === 'install'
      ? `${node.files.length} new`
      : node.files.map((file) => `${file.path} (${file.kind})`).join('<br>');
  const units = node.units.map((unit) => `${unit.unit}: ${unit.how} (${unit.why})`).join('<br>');
  const ms = node.phases.reduce((sum, phase) => sum + phase.ms, 0);
  return `| ${node.node} | ${files} | ${units} | ${seconds(ms)} | \`${node.digest.slice(0, 12)}\` |`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
