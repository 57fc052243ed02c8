import type { JsonReply, JsonRequest } from '../json-server.ts';
import { invalid, notFound } from './errors.ts';
import { page } from './pages.ts';
import { bot, nextId, nodeId, type Repository, type StoredDeployment, type StoredStatus, timestamp } from './types.ts';

const states = ['error', 'failure', 'inactive', 'in_progress', 'queued', 'pending', 'success'];

/** Newest first; filtered by sha, ref, task and environment as GitHub does. */
export function listDeployments(repository: Repository, request: JsonRequest): JsonReply {
  const wanted = (['sha', 'ref', 'task', 'environment'] as const).filter((key) => request.query.has(key));
  const kept = repository.store.data.deployments
    .filter((deployment) => wanted.every((key) => deployment[key] === request.query.get(key)))
    .reverse();
  return page(
    request,
    kept.map((deployment) => deploymentView(repository, request, deployment)),
  );
}

export function createDeployment(repository: Repository, request: JsonRequest): JsonReply {
  const body = (request.body ?? {}) as Partial<Record<'ref' | 'task' | 'environment' | 'description', string>> & {
    payload?: unknown;
    transient_environment?: boolean;
    production_environment?: boolean;
  };
  if (typeof body.ref !== 'string' || body.ref === '') throw invalid('Deployment', 'ref', 'missing_field');
  const sha = resolveRef(repository, body.ref);
  const environment = body.environment ?? 'production';
  const now = timestamp();
  const deployment: StoredDeployment = {
    id: nextId(repository),
    sha,
    ref: body.ref,
    task: body.task ?? 'deploy',
    environment,
    description: body.description ?? null,
    payload: body.payload ?? {},
    transient: body.transient_environment ?? false,
    production: body.production_environment ?? environment === 'production',
    createdAt: now,
    updatedAt: now,
    statuses: [],
  };
  repository.store.data.deployments.push(deployment);
  repository.store.save();
  return { status: 201, body: deploymentView(repository, request, deployment) };
}

export function getDeployment(repository: Repository, request: JsonRequest): JsonReply {
  return { status: 200, body: deploymentView(repository, request, deploymentOf(repository, request)) };
}

export function listStatuses(repository: Repository, request: JsonRequest): JsonReply {
  const deployment = deploymentOf(repository, request);
  return page(
    request,
    deployment.statuses.map((status) => statusView(request, deployment, status, repository)).reverse(),
  );
}

export function createStatus(repository: Repository, request: JsonRequest): JsonReply {
  const deployment = deploymentOf(repository, request);
  const body = (request.body ?? {}) as Partial<
    Record<'state' | 'description' | 'environment' | 'log_url' | 'environment_url', string>
  > & { auto_inactive?: boolean };
  if (body.state === undefined || !states.includes(body.state)) throw invalid('DeploymentStatus', 'state', 'custom');
  const status = addStatus(repository, deployment, body.state, body.description ?? '');
  status.environment = body.environment ?? deployment.environment;
  status.logUrl = body.log_url ?? '';
  status.environmentUrl = body.environment_url ?? '';
  if (body.state === 'success' && body.auto_inactive !== false) retireOthers(repository, deployment);
  repository.store.save();
  return { status: 201, body: statusView(request, deployment, status, repository) };
}

/** A success makes the earlier deployments of the same environment inactive, unless it is a production environment or transient. */
function retireOthers(repository: Repository, current: StoredDeployment): void {
  for (const other of repository.store.data.deployments) {
    if (other === current) return;
    if (other.environment !== current.environment || other.transient || other.production) continue;
    if (other.statuses.at(-1)?.state === 'success') addStatus(repository, other, 'inactive', '');
  }
}

function addStatus(
  repository: Repository,
  deployment: StoredDeployment,
  state: string,
  description: string,
): StoredStatus {
  const now = timestamp();
  const { environment } = deployment;
  const status = {
    id: nextId(repository),
    state,
    description,
    environment,
    logUrl: '',
    environmentUrl: '',
    createdAt: now,
  };
  deployment.statuses.push(status);
  deployment.updatedAt = now;
  return status;
}

function deploymentOf(repository: Repository, request: JsonRequest): StoredDeployment {
  const found = repository.store.data.deployments.find((each) => each.id === Number(request.params.deploymentId));
  if (found === undefined) throw notFound();
  return found;
}

/** A branch, a tag or a full sha. */
function resolveRef(repository: Repository, ref: string): string {
  const { refs } = repository.store.data;
  const sha = refs[ref] ?? refs[`refs/heads/${ref}`] ?? refs[`refs/tags/${ref}`];
  if (sha !== undefined) return sha;
  if (/^[0-9a-f]{40}$/.test(ref)) return ref;
  throw invalid('Deployment', 'ref', 'invalid', `No ref found for: ${ref}`);
}

function deploymentView(
  repository: Repository,
  request: JsonRequest,
  deployment: StoredDeployment,
): Record<string, unknown> {
  const url = deploymentUrl(repository, request, deployment);
  return {
    url,
    id: deployment.id,
    node_id: nodeId('Deployment', deployment.id),
    sha: deployment.sha,
    ref: deployment.ref,
    task: deployment.task,
    payload: deployment.payload,
    original_environment: deployment.environment,
    environment: deployment.environment,
    description: deployment.description,
    creator: bot,
    created_at: deployment.createdAt,
    updated_at: deployment.updatedAt,
    statuses_url: `${url}/statuses`,
    transient_environment: deployment.transient,
    production_environment: deployment.production,
  };
}

function statusView(
  request: JsonRequest,
  deployment: StoredDeployment,
  status: StoredStatus,
  repository: Repository,
): Record<string, unknown> {
  const url = deploymentUrl(repository, request, deployment);
  return {
    url: `${url}/statuses/${status.id}`,
    id: status.id,
    node_id: nodeId('DeploymentStatus', status.id),
    state: status.state,
    creator: bot,
    description: status.description,
    environment: status.environment,
    target_url: status.logUrl,
    log_url: status.logUrl,
    environment_url: status.environmentUrl,
    deployment_url: url,
    created_at: status.createdAt,
    updated_at: status.createdAt,
  };
}

function deploymentUrl({ owner, repo }: Repository, { baseUrl }: JsonRequest, { id }: StoredDeployment): string {
  return `${baseUrl}/repos/${owner}/${repo}/deployments/${id}`;
}
