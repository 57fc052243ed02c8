import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Environment } from '../../../actions/core/environment/schema.ts';
import type { RolloutReport } from '../../../actions/rollout/report.ts';
import { run } from '../../lab/machines/exec.ts';
import { clone, environmentName, nodeBinary } from '../../lab/paths.ts';
import { binaryPath } from '../../lab/pipeline.ts';
import { labSecrets } from '../../lab/secrets.ts';

/** A setting that a case changes: a file of the repository, and its text in the round. */
export interface Edit {
  readonly file: string;
  readonly text: (before: string, round: number) => string;
}

/** A reload of the load balancer. */
export const oneRole: Edit = {
  file: 'environments/lab.yaml',
  text: (before, round) => before.replace(/(checkIntervalMs:) \d+/, `$1 ${251 + round}`),
};

/** A restart of what runs on every node. */
export const everyNode: Edit = {
  file: 'configs/node-exporter/default',
  text: (before, round) => `${before}# Round ${round} of the benchmark.\n`,
};

/** What one rollout of ours took. */
export interface OurRun {
  readonly ms: number;
  /** Gates' windows: from the end of the first look on, and the time for which the node itself watches its units. */
  readonly waitedMs: number;
  readonly report: RolloutReport;
}

/** A repository's configs/ and environments/ in `folder`, with the edit of this round. */
export function writeRepository(folder: string, edit?: Edit, round = 0): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ['configs', 'environments']) cpSync(`${clone}/${name}`, `${folder}/${name}`, { recursive: true });
  if (edit === undefined) return;
  const path = `${folder}/${edit.file}`;
  const before = readFileSync(path, 'utf8');
  const after = edit.text(before, round);
  if (after === before) throw new Error(`the edit of ${edit.file} changes nothing`);
  writeFileSync(path, after);
}

/** Runs the rollout action as Actions does, its bundle in a process of its own, on the repository in `folder`. */
export async function rollOut(folder: string, environment: Environment): Promise<OurRun> {
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  const output = `${folder}/output`;
  writeFileSync(output, '');
  const env = {
    PATH: process.env.PATH,
    GITHUB_OUTPUT: output,
    INPUT_ENVIRONMENT: environmentName,
    INPUT_MODE: 'apply',
    INPUT_BINARY: binaryPath,
    INPUT_SECRET: FIREDRILL_SECRET,
    'INPUT_LINODE-TOKEN': LINODE_TOKEN,
  };
  const begun = performance.now();
  const argv = [nodeBinary, `${clone}/actions/rollout/dist/index.js`];
  await run(argv, { cwd: folder, env, timeoutMs: 200_000 });
  const ms = performance.now() - begun;
  const report = reportOf(readFileSync(output, 'utf8'));
  return { ms, waitedMs: waitedMs(report, environment), report };
}

/** The output `report` from what an action wrote to GITHUB_OUTPUT. Pure. */
export function reportOf(output: string): RolloutReport {
  const text = /^report<<(\S+)\n([\s\S]*?)\n\1$/m.exec(output)?.[2];
  if (text === undefined) throw new Error('the rollout gave no report');
  return JSON.parse(text) as RolloutReport;
}

/** How long a rollout waited in its gates. Pure. */
export function waitedMs(report: Pick<RolloutReport, 'nodes'>, { rollout }: Pick<Environment, 'rollout'>): number {
  const watchMs = rollout.gateSuccesses * rollout.gateIntervalMs;
  const phases = report.nodes.flatMap((node) => node.phases);
  return phases.reduce((sum, { phase, ms, waitedMs: waited = 0 }) => {
    return sum + (phase === 'active' ? Math.min(ms, watchMs) : waited);
  }, 0);
}
