import type { JsonReply, JsonRequest } from '../json-server.ts';
import { ApiRefusal, invalid, notFound } from './errors.ts';
import { pushToMain } from './git.ts';
import { page } from './pages.ts';
import { nextId, nodeId, type Repository, type StoredPull, timestamp, userView } from './types.ts';

export function listPulls(repository: Repository, request: JsonRequest): JsonReply {
  const state = request.query.get('state') ?? 'open';
  const base = request.query.get('base');
  const head = request.query.get('head');
  const kept = repository.store.data.pulls.filter(
    (pull) =>
      (state === 'all' || pull.state === state) &&
      (base === null || pull.baseRef === base) &&
      (head === null || head === pull.headRef || head === `${repository.owner}:${pull.headRef}`),
  );
  const ordered = request.query.get('direction') === 'asc' ? kept : kept.reverse();
  return page(
    request,
    ordered.map((pull) => pullView(repository, pull)),
  );
}

/** The pull requests that a commit came with: merged as it, or with it as their head. None for a commit that the lab has not seen yet. */
export function pullsOfCommit(repository: Repository, request: JsonRequest): JsonReply {
  const sha = request.params.sha ?? '';
  const kept = repository.store.data.pulls.filter((pull) => pull.mergeCommitSha === sha || pull.headSha === sha);
  return page(
    request,
    kept.map((pull) => pullView(repository, pull)),
  );
}

export function createPull(repository: Repository, request: JsonRequest): JsonReply {
  const body = (request.body ?? {}) as Partial<Record<'title' | 'head' | 'base' | 'body', string>>;
  for (const field of ['title', 'head', 'base'] as const) {
    if (typeof body[field] !== 'string') throw invalid('PullRequest', field, 'missing_field');
  }
  const { title = '', head = '', base = '' } = body;
  const { data } = repository.store;
  const headRef = head.split(':').at(-1) ?? head;
  // Nobody pushes to the lab, so a full sha stands for a branch that was just pushed, and an empty repository takes any base.
  const pushed = /^[0-9a-f]{40}$/.test(headRef);
  const headSha = pushed ? headRef : data.refs[`refs/heads/${headRef}`];
  if (headSha === undefined) throw invalid('PullRequest', 'head', 'invalid');
  if (data.refs[`refs/heads/${base}`] === undefined && !pushed) throw invalid('PullRequest', 'base', 'invalid');
  if (data.pulls.some((pull) => pull.state === 'open' && pull.headRef === headRef && pull.baseRef === base)) {
    throw invalid('PullRequest', 'head', 'custom', `A pull request already exists for ${repository.owner}:${headRef}.`);
  }
  const pull = addPull(repository, { title, body: body.body ?? null, headRef, headSha, baseRef: base });
  return { status: 201, body: pullView(repository, pull) };
}

export function getPull(repository: Repository, request: JsonRequest): JsonReply {
  return { status: 200, body: pullView(repository, pullOf(repository, request)) };
}

export function updatePull(repository: Repository, request: JsonRequest): JsonReply {
  const pull = pullOf(repository, request);
  const { title, body, state } = (request.body ?? {}) as Partial<Pick<StoredPull, 'title' | 'body' | 'state'>>;
  pull.title = title ?? pull.title;
  pull.body = body ?? pull.body;
  pull.state = state ?? pull.state;
  pull.updatedAt = timestamp();
  repository.store.save();
  return { status: 200, body: pullView(repository, pull) };
}

export function mergePull(repository: Repository, request: JsonRequest): JsonReply {
  const pull = pullOf(repository, request);
  const { sha } = (request.body ?? {}) as { sha?: string };
  if (pull.state !== 'open') throw new ApiRefusal(405, 'Pull Request is not mergeable');
  if (sha !== undefined && sha !== pull.headSha) {
    throw new ApiRefusal(409, 'Head branch was modified. Review and try the merge again.');
  }
  merge(repository, pull);
  return { status: 200, body: { sha: pull.headSha, merged: true, message: 'Pull Request successfully merged' } };
}

/** Merged by fast-forward: the head's commit is what main gets, so that a checkout has it. */
export function merge(repository: Repository, pull: StoredPull): void {
  pushToMain(repository, pull.headSha, pull.title);
  pull.state = 'closed';
  pull.mergedAt = timestamp();
  pull.updatedAt = pull.mergedAt;
  pull.mergeCommitSha = pull.headSha;
  repository.store.save();
}

/** An open pull request with the next number, unless one is given. */
export function addPull(
  repository: Repository,
  facts: Pick<StoredPull, 'title' | 'body' | 'headRef' | 'headSha' | 'baseRef'> & { number?: number; login?: string },
): StoredPull {
  const { pulls } = repository.store.data;
  const now = timestamp();
  const pull: StoredPull = {
    id: nextId(repository),
    number: facts.number ?? Math.max(0, ...pulls.map((each) => each.number)) + 1,
    title: facts.title,
    body: facts.body,
    state: 'open',
    mergedAt: null,
    mergeCommitSha: null,
    headRef: facts.headRef,
    headSha: facts.headSha,
    baseRef: facts.baseRef,
    labels: [],
    createdAt: now,
    updatedAt: now,
    login: facts.login ?? 'developer',
  };
  pulls.push(pull);
  repository.store.save();
  return pull;
}

/** The pull request that the path names, by `{number}`; issues that are no pull requests are not kept. */
export function pullOf(repository: Repository, request: JsonRequest): StoredPull {
  const pull = repository.store.data.pulls.find((each) => each.number === Number(request.params.number));
  if (pull === undefined) throw notFound();
  return pull;
}

export function listLabels(repository: Repository, request: JsonRequest): JsonReply {
  const { labels } = pullOf(repository, request);
  return page(request, labels.map(labelView));
}

export function addLabels(repository: Repository, request: JsonRequest): JsonReply {
  const pull = pullOf(repository, request);
  const body = request.body as string[] | { labels?: string[] } | undefined;
  const names = (Array.isArray(body) ? body : body?.labels) ?? [];
  pull.labels = [...new Set([...pull.labels, ...names])];
  repository.store.data.labels = [...new Set([...repository.store.data.labels, ...names])];
  repository.store.save();
  return { status: 200, body: pull.labels.map(labelView) };
}

export function removeLabel(repository: Repository, request: JsonRequest): JsonReply {
  const pull = pullOf(repository, request);
  const name = request.params.label ?? '';
  if (!pull.labels.includes(name)) throw new ApiRefusal(404, 'Label does not exist');
  pull.labels = pull.labels.filter((each) => each !== name);
  repository.store.save();
  return { status: 200, body: pull.labels.map(labelView) };
}

export function labelView(name: string): Record<string, unknown> {
  return { id: 1, node_id: nodeId('Label', name), name, color: 'ededed', default: false, description: null };
}

function pullView(repository: Repository, pull: StoredPull): Record<string, unknown> {
  const full = `${repository.owner}/${repository.repo}`;
  const side = (ref: string, sha: string) => ({
    label: `${repository.owner}:${ref}`,
    ref,
    sha,
    repo: { full_name: full },
  });
  return {
    id: pull.id,
    node_id: nodeId('PullRequest', pull.id),
    number: pull.number,
    html_url: `${repository.htmlUrl}/pull/${pull.number}`,
    state: pull.state,
    locked: false,
    draft: false,
    title: pull.title,
    body: pull.body,
    user: userView(pull.login),
    labels: pull.labels.map(labelView),
    created_at: pull.createdAt,
    updated_at: pull.updatedAt,
    closed_at: pull.mergedAt,
    merged_at: pull.mergedAt,
    merged: pull.mergedAt !== null,
    merge_commit_sha: pull.mergeCommitSha,
    head: side(pull.headRef, pull.headSha),
    base: side(pull.baseRef, repository.store.data.refs[`refs/heads/${pull.baseRef}`] ?? pull.headSha),
    author_association: 'OWNER',
  };
}
