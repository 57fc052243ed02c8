import { mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { checkContainer } from './container.ts';
import { githubContext } from './contexts.ts';
import { evaluate, evaluateCondition, evaluateText, type Scope } from './expressions.ts';
import { needsFunctions } from './functions.ts';
import { artifactsOf, runJob } from './job.ts';
import { createMasks } from './masks.ts';
import { admit } from './triggers.ts';
import type { Annotation, Conclusion, JobResult, RunOptions, RunResult } from './types.ts';
import { type Job, readWorkflow, type Workflow } from './workflow-model.ts';
import { unsupported } from './yaml.ts';

/**
 * Runs a workflow file for an event: its jobs one after another in the order of their needs, each in a workspace of its own.
 * Gives the result also when jobs fail. Throws a FiredrillError (`config`), before anything ran, when the file has errors, needs
 * something that this runner can't do, or would not be started by the event.
 */
export async function runWorkflow(given: RunOptions): Promise<RunResult> {
  const options = absolutePaths(given);
  const workflow = await readWorkflow(options.workflow, relative(options.sourceRepo, options.workflow));
  const inputs = admit(workflow, options);
  const github = githubContext(workflow, options);
  const base: Scope = {
    contexts: { github, inputs, vars: options.vars ?? {}, needs: {}, strategy: {}, matrix: {} },
    functions: [],
  };
  for (const job of workflow.jobs) checkJob(job, options, base);
  const logDir = join(
    options.logDir ?? join(options.sourceRepo, 'out/logs'),
    basename(workflow.file).replace(/\.ya?ml$/, ''),
  );
  rmSync(logDir, { recursive: true, force: true });
  mkdirSync(logDir, { recursive: true });
  const concurrency = readConcurrency(workflow, base);
  const secrets = { ...reveal(options), GITHUB_TOKEN: options.token.reveal() };
  const log = createMasks(Object.values(secrets));
  options.log.step(log.apply(`workflow ${workflow.name} on ${options.event.name}, ${options.sha.slice(0, 12)}`));
  const annotations: Annotation[] = [];
  const results = new Map<string, JobResult>();
  for (const job of inOrder(workflow.jobs)) {
    const needs = Object.fromEntries(job.needs.map((id) => [id, needsEntry(results.get(id))]));
    const contexts = { ...base.contexts, needs };
    const scope: Scope = {
      contexts,
      functions: needsFunctions(upstream(job, workflow, results), options.signal?.aborted ?? false),
    };
    if (evaluateCondition(job.condition, scope, job.at)) {
      const call = { workflow, job, options, github, inputs, secrets, needs, scope, logDir, annotations };
      results.set(job.id, await runJob(call));
    } else {
      options.log.step(`job ${job.id}: skipped`);
      results.set(job.id, skipped(job));
    }
  }
  const jobs = workflow.jobs.map((job) => results.get(job.id) as JobResult);
  return {
    name: workflow.name,
    conclusion: overall(jobs),
    ...{ jobs, annotations, artifacts: listArtifacts(options), logDir },
    ...(concurrency === undefined ? {} : { concurrency }),
  };
}

/** What can be known to be impossible before the first job starts. */
function checkJob(job: Job, options: RunOptions, scope: Scope): void {
  const label = evaluateText(job.runsOn, scope);
  if (!/^ubuntu-(latest|\d\d\.\d\d)$/.test(label)) throw unsupported(`runs-on '${label}'`, job.runsOn.at);
  checkContainer(job, options);
}

function readConcurrency(workflow: Workflow, scope: Scope): RunResult['concurrency'] {
  const found = workflow.concurrency;
  if (found === undefined) return undefined;
  const cancel = found.cancelInProgress;
  return {
    group: evaluateText(found.group, scope),
    queue: found.queue,
    cancelInProgress: cancel !== undefined && evaluate(cancel, scope) === true,
  };
}

/** Each job after all that it needs; the file's order otherwise. GitHub's own check has ruled cycles out. */
function inOrder(jobs: readonly Job[]): Job[] {
  const ordered: Job[] = [];
  while (ordered.length < jobs.length) {
    const next = jobs.find(
      (job) => !ordered.includes(job) && job.needs.every((id) => ordered.some((done) => done.id === id)),
    );
    if (next === undefined) throw new FiredrillError({ code: 'bug', what: 'jobs that need each other' });
    ordered.push(next);
  }
  return ordered;
}

/** The conclusions of everything a job needs, directly or not. */
function upstream(job: Job, workflow: Workflow, results: ReadonlyMap<string, JobResult>): Map<string, Conclusion> {
  const found = new Map<string, Conclusion>();
  const visit = (id: string): void => {
    found.set(id, results.get(id)?.conclusion ?? 'skipped');
    for (const need of workflow.jobs.find((candidate) => candidate.id === id)?.needs ?? []) visit(need);
  };
  for (const id of job.needs) visit(id);
  return found;
}

function needsEntry(result: JobResult | undefined): { result: Conclusion; outputs: Readonly<Record<string, string>> } {
  return { result: result?.conclusion ?? 'skipped', outputs: result?.outputs ?? {} };
}

function skipped(job: Job): JobResult {
  const { id, permissions } = job;
  return { id, name: id, conclusion: 'skipped', steps: [], outputs: {}, summary: '', permissions, ms: 0 };
}

function overall(jobs: readonly JobResult[]): RunResult['conclusion'] {
  const conclusions = jobs.map((job) => job.conclusion);
  if (conclusions.includes('cancelled')) return 'cancelled';
  return conclusions.includes('failure') ? 'failure' : 'success';
}

function reveal(options: RunOptions): Record<string, string> {
  return Object.fromEntries(Object.entries(options.secrets).map(([name, secret]) => [name, secret.reveal()]));
}

function listArtifacts(options: RunOptions): Record<string, string> {
  const directory = artifactsOf(options);
  mkdirSync(directory, { recursive: true });
  return Object.fromEntries(readdirSync(directory).map((name) => [name, join(directory, name)]));
}

/** Steps run in other folders, and in containers that see only what is bound: every path absolute, Node's without links. */
function absolutePaths(options: RunOptions): RunOptions {
  const { sourceRepo, workDir, cacheDir } = options;
  const workflow = isAbsolute(options.workflow) ? options.workflow : resolve(sourceRepo, options.workflow);
  const paths = { workflow, sourceRepo: resolve(sourceRepo), workDir: resolve(workDir), cacheDir: resolve(cacheDir) };
  return { ...options, ...paths, nodeBinary: realpathSync(options.nodeBinary ?? process.execPath) };
}
