import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { FiredrillError } from '../../actions/core/errors.ts';
import { Secret } from '../../actions/core/secret.ts';
import { buildRootContainers } from './containers.ts';
import { mergedPullRequest } from './merge.ts';
import { cacheDir, clone, environmentName, nodeBinary, outDir, region, repository, stateDir } from './paths.ts';
import { progressOnly } from './progress.ts';
import { cancelOnSignals, type RunResult, runWorkflow, seedCache, type WorkflowEvent } from './runner/index.ts';
import { labSecrets } from './secrets.ts';
import { type Source, sourceCommit } from './source.ts';

export interface PipelineOptions {
  /** Shows all that the steps print, not only a line per step and its progress lines. */
  readonly verbose: boolean;
  /** The git clone whose work tree is deployed. */
  readonly from: string;
  /** How often a drill runs each scenario, what out/drill.jsonl has counted; empty: as the environment says. */
  readonly repeat: string;
  /** `reference`: a drill measures those settings, too; empty: ours alone. */
  readonly against: string;
}

/** Every run of every drill, a line each. */
export const runsFile = `${outDir}/drill.jsonl`;

/** A merge to main, as GitHub would see it: the pull request of the commit is merged, deploy.yml runs on the push. */
export async function deploy(options: PipelineOptions): Promise<RunResult> {
  const source = sourceCommit(options.from);
  if (source.dirty) console.log(`the work tree differs from HEAD: deploying it as commit ${source.sha.slice(0, 12)}`);
  await mergedPullRequest(source);
  const result = await run(
    'deploy.yml',
    { name: 'push', payload: { ref: 'refs/heads/main', after: source.sha } },
    source,
    options,
  );
  const binary = result.artifacts.sessiond;
  if (result.conclusion === 'success' && binary !== undefined) keepBinary(binary);
  return result;
}

/** drill.yml started by hand, and its report copied to out/. */
export async function drill(scenarios: readonly string[], options: PipelineOptions): Promise<RunResult> {
  // A drill that dies must not leave the last one's figures as its own.
  for (const file of ['drill.json', 'pull-request.md', 'summary.md']) rmSync(`${outDir}/${file}`, { force: true });
  const inputs = { environment: environmentName, scenarios: scenarios.join(' '), repeat: options.repeat };
  const result = await run('drill.yml', { name: 'workflow_dispatch', inputs }, sourceCommit(options.from), options);
  const report = result.artifacts['drill-report'];
  if (report !== undefined) cpSync(report, outDir, { recursive: true });
  return result;
}

/** Throws when a workflow did not succeed, with the errors that it annotated. */
export function mustSucceed(result: RunResult): void {
  if (result.conclusion === 'success') return;
  const errors = result.annotations
    .filter((each) => each.level === 'error')
    .map((each) => `  ${each.job}: ${each.message}`);
  throw new FiredrillError({
    code: 'remote',
    what: `workflow ${result.name}: ${result.conclusion}\n${errors.join('\n')}`,
    fix: `\nThe logs of its steps are in ${result.logDir}`,
  });
}

/** The C binary that the last successful deploy.yml of this lab built. */
export const binaryPath = `${stateDir}/sessiond/sessiond`;

function keepBinary(artifact: string): void {
  rmSync(`${stateDir}/sessiond`, { recursive: true, force: true });
  cpSync(artifact, `${stateDir}/sessiond`, { recursive: true });
}

async function run(
  workflow: string,
  event: WorkflowEvent,
  source: Source,
  options: PipelineOptions,
): Promise<RunResult> {
  const { GITHUB_TOKEN, FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  const workDir = `${stateDir}/work/${workflow.replace('.yml', '')}`;
  const artifactsDir = `${stateDir}/artifacts/${workflow.replace('.yml', '')}`;
  for (const folder of [workDir, artifactsDir]) rmSync(folder, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  await seedCache({ cacheDir: `${cacheDir}/actions`, clone, action: '.github/actions/setup' });
  const cancellation = cancelOnSignals();
  try {
    return await runWorkflow({
      workflow: `.github/workflows/${workflow}`,
      event,
      repository: `${repository.owner}/${repository.repo}`,
      sha: source.sha,
      ref: 'refs/heads/main',
      sourceRepo: options.from,
      logDir: `${outDir}/logs`,
      secrets: { FIREDRILL_SECRET: new Secret(FIREDRILL_SECRET), LINODE_TOKEN: new Secret(LINODE_TOKEN) },
      vars: { FIREDRILL_ENVIRONMENT: environmentName, FIREDRILL_RUNS: runsFile },
      githubApiUrl: `http://${region.host}:${region.githubApiPort}`,
      token: new Secret(GITHUB_TOKEN),
      workDir,
      artifactsDir,
      cacheDir: `${cacheDir}/actions`,
      containers: buildRootContainers(),
      nodeBinary,
      log: {
        step: (line) => console.log(line),
        output: options.verbose ? (line) => console.log(line) : progressOnly((line) => console.log(line)),
      },
      signal: cancellation.signal,
    });
  } finally {
    cancellation.release();
    if (existsSync(workDir)) rmSync(workDir, { recursive: true, force: true });
  }
}
