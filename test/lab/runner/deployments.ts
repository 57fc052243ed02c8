import { FiredrillError } from '../../../actions/core/errors.ts';
import type { RunOptions } from './types.ts';

export type DeploymentState = 'in_progress' | 'success' | 'failure' | 'inactive';

/** The record that GitHub keeps by itself for a job with `environment:`. */
export interface Deployment {
  report(state: DeploymentState, environmentUrl?: string): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/** Creates the deployment record of a job and sets it in progress. Throws a FiredrillError (`remote`) when the API refuses. */
export async function createDeployment(options: RunOptions, environment: string, runUrl: string): Promise<Deployment> {
  const base = `${options.githubApiUrl}/repos/${options.repository}/deployments`;
  const created = await post(options, base, {
    ref: options.sha,
    task: 'deploy',
    auto_merge: false,
    required_contexts: [],
    environment,
    description: '',
  });
  const id = created.id;
  const report = async (state: DeploymentState, environmentUrl?: string): Promise<void> => {
    await post(options, `${base}/${String(id)}/statuses`, {
      state,
      environment,
      log_url: runUrl,
      auto_inactive: true,
      ...(environmentUrl === undefined ? {} : { environment_url: environmentUrl }),
    });
  };
  await report('in_progress');
  return { report };
}

async function post(options: RunOptions, url: string, body: unknown): Promise<Record<string, unknown>> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'application/vnd.github+json',
      authorization: `Bearer ${options.token.reveal()}`,
      'content-type': 'application/json',
      'x-github-api-version': '2022-11-28',
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) {
    const what = `the GitHub API answered ${response.status}: ${(await response.text()).slice(0, 300)}`;
    throw new FiredrillError({ code: 'remote', what, where: `POST ${url}` });
  }
  return (await response.json()) as Record<string, unknown>;
}
