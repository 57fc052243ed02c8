import { basename } from 'node:path';
import type { Scope } from './expressions.ts';
import { hashFilesFunction, statusFunctions } from './functions.ts';
import type { Frame, JobRun } from './job-run.ts';
import type { RunOptions } from './types.ts';
import type { Workflow } from './workflow-model.ts';

/** The `github` context of a run, without what differs per job or step. */
export function githubContext(workflow: Workflow, options: RunOptions): Record<string, unknown> {
  const [owner = ''] = options.repository.split('/');
  const pull = options.event.payload?.pull_request as { head?: { ref?: string }; base?: { ref?: string } } | undefined;
  const actor = options.actor ?? 'firedrill-lab';
  const serverUrl = options.serverUrl ?? 'https://github.com';
  return {
    token: options.token.reveal(),
    event: eventPayload(options, owner, actor),
    event_name: options.event.name,
    actor,
    triggering_actor: actor,
    repository: options.repository,
    repository_owner: owner,
    repositoryUrl: `${serverUrl}/${options.repository}.git`,
    sha: options.sha,
    ref: options.ref,
    ref_name: options.ref.replace(/^refs\/(heads|tags|pull)\//, ''),
    ref_type: options.ref.startsWith('refs/tags/') ? 'tag' : 'branch',
    ref_protected: false,
    head_ref: pull?.head?.ref ?? '',
    base_ref: pull?.base?.ref ?? '',
    workflow: workflow.name,
    workflow_ref: `${options.repository}/.github/workflows/${basename(workflow.file)}@${options.ref}`,
    workflow_sha: options.sha,
    run_id: String(options.runId ?? 1),
    run_number: String(options.runNumber ?? 1),
    run_attempt: '1',
    retention_days: '90',
    server_url: serverUrl,
    api_url: options.githubApiUrl,
    graphql_url: `${options.githubApiUrl}/graphql`,
    secret_source: 'Actions',
  };
}

/** The `runner` context. `github-hosted` is what actions see on GitHub, where these workflows belong. */
export function runnerContext(directories: JobRun['directories']): Record<string, string> {
  const arch: Record<string, string> = { x64: 'X64', arm64: 'ARM64' };
  return {
    os: 'Linux',
    arch: arch[process.arch] ?? process.arch.toUpperCase(),
    name: 'firedrill-lab',
    environment: 'github-hosted',
    temp: directories.temp,
    tool_cache: directories.tools,
    workspace: directories.root,
  };
}

/** What an expression in a step sees. */
export function stepScope(frame: Frame, stepEnv: Readonly<Record<string, string>> = {}): Scope {
  const { run } = frame;
  const cancelled = run.cancellation.cancelled();
  return {
    contexts: {
      github: { ...run.github, ...frame.github, action_status: frame.status },
      inputs: frame.inputs,
      vars: run.options.vars ?? {},
      secrets: frame.secrets,
      env: { ...run.env, ...frame.env, ...stepEnv },
      steps: frame.steps,
      needs: run.needs,
      job: { status: cancelled ? 'cancelled' : frame.status },
      runner: run.runner,
      strategy: {},
      matrix: {},
    },
    functions: [...statusFunctions(frame.status, cancelled), hashFilesFunction(run.directories.workspace)],
  };
}

/** The GITHUB_* and RUNNER_* variables of a step. */
export function defaultVariables(frame: Frame): Record<string, string> {
  const github = { ...frame.run.github, ...frame.github };
  const names = Object.keys(github).filter(
    (name) => !['token', 'event', 'repositoryUrl', 'action_status'].includes(name),
  );
  const variables: [string, string][] = names.map((name) => [`GITHUB_${name.toUpperCase()}`, String(github[name])]);
  for (const [name, value] of Object.entries(frame.run.runner)) variables.push([`RUNNER_${name.toUpperCase()}`, value]);
  return {
    ...Object.fromEntries(variables),
    CI: 'true',
    GITHUB_ACTIONS: 'true',
    RUNNER_TRACKING_ID: frame.run.trackingId,
  };
}

function eventPayload(options: RunOptions, owner: string, actor: string): Record<string, unknown> {
  const [, name = ''] = options.repository.split('/');
  return {
    ...(options.event.name === 'pull_request' ? {} : { ref: options.ref }),
    ...(options.event.name === 'push' ? { after: options.sha, head_commit: { id: options.sha } } : {}),
    ...(options.event.inputs === undefined ? {} : { inputs: options.event.inputs }),
    repository: { full_name: options.repository, name, owner: { login: owner }, default_branch: 'main' },
    sender: { login: actor },
    ...options.event.payload,
  };
}
