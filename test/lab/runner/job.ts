import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { messageOf } from '../../../actions/core/errors.ts';
import { createCancellation } from './cancellation.ts';
import { containerOf } from './container.ts';
import { runnerContext, stepScope } from './contexts.ts';
import { createDeployment, type Deployment } from './deployments.ts';
import { fail } from './execute.ts';
import { evaluate, evaluateAll, evaluateCondition, evaluateMinutes, evaluateText, type Scope } from './expressions.ts';
import type { Directories, Frame, JobRun } from './job-run.ts';
import { createMasks } from './masks.ts';
import { killOrphans } from './process.ts';
import { createJobLog, stepLine } from './step-log.ts';
import { runSteps, stepResult } from './steps.ts';
import type { Inputs } from './triggers.ts';
import type { Annotation, Conclusion, JobResult, RunOptions } from './types.ts';
import type { Job, Workflow } from './workflow-model.ts';

const DEFAULT_TIMEOUT_MS = 360 * 60_000;
const DEFAULT_GRACE = { interruptMs: 7500, terminateMs: 2500, cleanupMs: 300_000 };

export interface JobCall {
  readonly workflow: Workflow;
  readonly job: Job;
  readonly options: RunOptions;
  readonly github: Readonly<Record<string, unknown>>;
  readonly inputs: Inputs;
  readonly secrets: Readonly<Record<string, string>>;
  /** The `needs` context. */
  readonly needs: Readonly<Record<string, unknown>>;
  /** What a job's own keys (name, environment, timeout) may use. */
  readonly scope: Scope;
  readonly logDir: string;
  readonly annotations: Annotation[];
}

/** Runs one job from its set-up to its last post step. Never rejects: what goes wrong is the job's failure. */
export async function runJob(call: JobCall): Promise<JobResult> {
  const started = performance.now();
  const { job, options } = call;
  const masks = createMasks([...Object.values(call.secrets), options.token.reveal()]);
  const log = createJobLog(join(call.logDir, job.id), masks, options.log);
  const grace = options.grace ?? DEFAULT_GRACE;
  const name = job.name === undefined ? job.id : evaluateText(job.name, call.scope);
  log.summary(`job ${name}`);
  const print = log.open('Set up job');
  const timeoutMs =
    job.timeoutMinutes === undefined ? DEFAULT_TIMEOUT_MS : evaluateMinutes(job.timeoutMinutes, call.scope);
  const cancellation = createCancellation(options.signal, timeoutMs, grace.cleanupMs);
  const directories = makeDirectories(options, job.id);
  const run: JobRun = {
    ...{ options, workflow: call.workflow, job, directories, masks, log, grace, cancellation },
    ...{ inputs: call.inputs, secrets: call.secrets, needs: call.needs, annotations: call.annotations },
    github: jobGithub(call, directories),
    runner: runnerContext(directories),
    nodeBinary: options.nodeBinary ?? process.execPath,
    container: containerOf(job, options, directories, call.scope),
    trackingId: `firedrill_${randomUUID()}`,
    ...{ env: {}, path: [], posts: [], summaries: [], results: [] },
  };
  const frame = jobFrame(run);
  let deployment: Deployment | undefined;
  const environment = job.environment === undefined ? undefined : evaluateText(job.environment.name, call.scope);
  try {
    const envScope = stepScope(frame);
    Object.assign(run.env, evaluateAll(call.workflow.env, envScope), evaluateAll(job.env, envScope));
    if (run.container !== undefined && job.container !== undefined)
      Object.assign(run.env, evaluateAll(job.container.env, envScope));
    print(`permissions: ${JSON.stringify(job.permissions)}`);
    if (environment !== undefined && wantsRecord(job, call.scope)) {
      deployment = await createDeployment(options, environment, runUrl(run));
      print(`environment ${environment}: deployment record created`);
    }
    await runSteps(frame, job.steps);
  } catch (error) {
    fail(run, 'Set up job', messageOf(error), print);
    log.summary(stepLine('failure', performance.now() - started, messageOf(error)));
    frame.status = 'failure';
  }
  await runPosts(run, frame);
  const finish = log.open('Complete job');
  const outputs = jobOutputs(run, frame, finish);
  const conclusion: Conclusion = cancellation.cancelled() ? 'cancelled' : frame.status;
  if (conclusion === 'cancelled') finish(`##[error]${cancellation.reason()}`);
  const reported =
    deployment === undefined ? conclusion : await closeDeployment(run, frame, deployment, conclusion, finish);
  const orphans = killOrphans(run.trackingId);
  if (orphans > 0) finish(`ended ${orphans} processes that the steps had left running`);
  cancellation.release();
  const ms = performance.now() - started;
  const summary = masks.apply(run.summaries.join('\n'));
  if (summary !== '') writeFileSync(join(call.logDir, job.id, 'summary.md'), summary);
  log.summary(`job ${name}: ${reported} after ${(ms / 1000).toFixed(1)} s`);
  return {
    ...{
      id: job.id,
      name,
      conclusion: reported,
      steps: run.results,
      outputs,
      summary,
      permissions: job.permissions,
      ms,
    },
    ...(environment === undefined ? {} : { environment }),
  };
}

function jobFrame(run: JobRun): Frame {
  return {
    ...{ run, inputs: run.inputs, secrets: run.secrets, steps: {}, env: {}, github: {}, defaults: run.job.defaults },
    ...{ depth: 0, print: undefined, timeouts: [], status: 'success' as const },
  };
}

async function runPosts(run: JobRun, frame: Frame): Promise<void> {
  for (const post of run.posts.toReversed()) {
    const started = performance.now();
    const print = run.log.open(post.name);
    let conclusion: Conclusion = 'skipped';
    try {
      // A post step's condition looks at the job, also when the action was used inside a composite one.
      if (evaluateCondition(post.condition, stepScope({ ...post.frame, status: frame.status }), post.at)) {
        conclusion = (await post.run({ print })).conclusion;
      } else print(`skipped: ${post.condition} is false`);
    } catch (error) {
      fail(run, post.name, messageOf(error), print);
      conclusion = 'failure';
    }
    if (conclusion === 'failure') frame.status = 'failure';
    const ms = performance.now() - started;
    run.results.push(stepResult(run, '', post.name, ms, { outcome: conclusion, conclusion, outputs: {} }));
    run.log.summary(stepLine(conclusion, ms, post.name));
  }
}

/** Outputs that hold a masked value stay in the job, as on GitHub. */
function jobOutputs(run: JobRun, frame: Frame, print: (line: string) => void): Record<string, string> {
  try {
    const all = Object.entries(evaluateAll(run.job.outputs, stepScope(frame)));
    const hidden = all.filter(([, value]) => run.masks.hides(value)).map(([name]) => name);
    for (const name of hidden) print(`##[warning]Skip output '${name}' since it may contain secret.`);
    return Object.fromEntries(all.filter(([name]) => !hidden.includes(name)));
  } catch (error) {
    fail(run, 'Complete job', messageOf(error), print);
    frame.status = 'failure';
    return {};
  }
}

function wantsRecord(job: Job, scope: Scope): boolean {
  const wanted = job.environment?.deployment;
  return wanted === undefined || evaluate(wanted, scope) !== false;
}

async function closeDeployment(
  run: JobRun,
  frame: Frame,
  deployment: Deployment,
  conclusion: Conclusion,
  print: (line: string) => void,
): Promise<Conclusion> {
  try {
    const url = run.job.environment?.url;
    const environmentUrl = url === undefined ? undefined : evaluateText(url, stepScope(frame));
    const state = conclusion === 'success' || conclusion === 'failure' ? conclusion : 'inactive';
    await deployment.report(state, environmentUrl);
    return conclusion;
  } catch (error) {
    fail(run, 'Complete job', messageOf(error), print);
    return 'failure';
  }
}

function jobGithub(call: JobCall, directories: Directories): Record<string, unknown> {
  const eventPath = join(directories.temp, '_github_workflow/event.json');
  mkdirSync(join(directories.temp, '_github_workflow'), { recursive: true });
  writeFileSync(eventPath, JSON.stringify(call.github.event, undefined, 2));
  return { ...call.github, job: call.job.id, workspace: directories.workspace, event_path: eventPath };
}

function runUrl(run: JobRun): string {
  return `${String(run.github.server_url)}/${run.options.repository}/actions/runs/${String(run.github.run_id)}`;
}

/** Where a run's artifacts are, shared by its jobs. */
export function artifactsOf(options: RunOptions): string {
  return resolve(options.artifactsDir ?? join(options.workDir, '_artifacts'));
}

function makeDirectories(options: RunOptions, job: string): Directories {
  const [, name = 'repository'] = options.repository.split('/');
  const root = join(options.workDir, job);
  const directories = {
    root,
    workspace: join(root, name),
    temp: join(root, '_temp'),
    home: join(root, '_home'),
    tools: join(root, '_tool'),
    artifacts: artifactsOf(options),
  };
  for (const directory of Object.values(directories)) mkdirSync(directory, { recursive: true });
  return directories;
}
