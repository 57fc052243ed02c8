import { createHash } from 'node:crypto';
import type { JsonReply, JsonRequest } from '../json-server.ts';
import { ApiRefusal, invalid, notFound } from './errors.ts';
import { page } from './pages.ts';
import { blobSha, nodeId, type Repository, type StoredCommit, timestamp, userView } from './types.ts';

/** A commit becomes the head of main, as if pushed; one that is known already changes nothing. */
export function pushToMain(repository: Repository, sha: string, message: string): void {
  const { data } = repository.store;
  if (data.commits.some((commit) => commit.sha === sha)) return;
  const parent = data.refs['refs/heads/main'];
  data.commits.push({ sha, message, date: timestamp(), parents: parent === undefined ? [] : [parent] });
  data.refs['refs/heads/main'] = sha;
  repository.store.save();
}

export function getCommit(repository: Repository, request: JsonRequest): JsonReply {
  const ref = request.params.sha ?? '';
  const { commits, refs } = repository.store.data;
  const sha = refs[`refs/heads/${ref}`] ?? ref;
  const commit = commits.find((each) => each.sha === sha);
  if (commit === undefined) throw new ApiRefusal(422, `No commit found for SHA: ${ref}`);
  return { status: 200, body: commitView(repository, commit) };
}

/** Newest first, from `sha` (a branch or a commit) back along first parents. */
export function listCommits(repository: Repository, request: JsonRequest): JsonReply {
  const { commits, refs } = repository.store.data;
  const start = request.query.get('sha') ?? 'main';
  const found: StoredCommit[] = [];
  let next = commits.find((each) => each.sha === (refs[`refs/heads/${start}`] ?? start));
  while (next !== undefined && !found.includes(next)) {
    found.push(next);
    const parent: string | undefined = next.parents[0];
    next = commits.find((each) => each.sha === parent);
  }
  return page(
    request,
    found.map((commit) => commitView(repository, commit)),
  );
}

/** `BASE...HEAD`: the commits that the head has and the base hasn't, oldest first, along first parents. */
export function compareCommits(repository: Repository, request: JsonRequest): JsonReply {
  const [base, head] = (request.params.range ?? '').split('...');
  const { commits } = repository.store.data;
  const ancestry = (sha: string | undefined): StoredCommit[] => {
    const commit = commits.find((each) => each.sha === sha);
    return commit === undefined ? [] : [commit, ...ancestry(commit.parents[0])];
  };
  const [ours, theirs] = [ancestry(base), ancestry(head)];
  const known = ours.length > 0 || theirs.some((commit) => commit.parents[0] === base);
  if (theirs.length === 0 || !known) throw notFound();
  const found = theirs.filter((commit) => !ours.includes(commit)).reverse();
  const behind = ours.filter((commit) => !theirs.includes(commit)).length;
  const size = Math.min(250, Number(request.query.get('per_page') ?? 250));
  const page = Number(request.query.get('page') ?? 1);
  return {
    status: 200,
    body: {
      html_url: `${repository.htmlUrl}/compare/${base}...${head}`,
      status: found.length === 0 ? (behind === 0 ? 'identical' : 'behind') : behind === 0 ? 'ahead' : 'diverged',
      ahead_by: found.length,
      behind_by: behind,
      total_commits: found.length,
      commits: found.slice((page - 1) * size, page * size).map((commit) => commitView(repository, commit)),
      files: page === 1 ? (repository.changed?.(base ?? '', head ?? '') ?? []).map((filename) => ({ filename })) : [],
    },
  };
}

export function getRef(repository: Repository, request: JsonRequest): JsonReply {
  const ref = `refs/${request.params.ref}`;
  return { status: 200, body: refView(repository, request, ref) };
}

export function matchingRefs(repository: Repository, request: JsonRequest): JsonReply {
  const prefix = `refs/${request.params.ref}`;
  const found = Object.keys(repository.store.data.refs).filter((ref) => ref.startsWith(prefix));
  return page(
    request,
    found.sort().map((ref) => refView(repository, request, ref)),
  );
}

export function createRef(repository: Repository, request: JsonRequest): JsonReply {
  const { ref, sha } = (request.body ?? {}) as { ref?: string; sha?: string };
  if (ref === undefined || !/^refs\/.+\/.+|^refs\/(heads|tags)\/.+/.test(ref)) {
    throw new ApiRefusal(422, `${ref} is not a valid ref name.`);
  }
  if (repository.store.data.refs[ref] !== undefined) throw new ApiRefusal(422, 'Reference already exists');
  setRef(repository, ref, sha);
  return { status: 201, body: refView(repository, request, ref) };
}

export function updateRef(repository: Repository, request: JsonRequest): JsonReply {
  const ref = `refs/${request.params.ref}`;
  if (repository.store.data.refs[ref] === undefined) throw new ApiRefusal(422, 'Reference does not exist');
  setRef(repository, ref, (request.body as { sha?: string } | undefined)?.sha);
  return { status: 200, body: refView(repository, request, ref) };
}

export function deleteRef(repository: Repository, request: JsonRequest): JsonReply {
  const ref = `refs/${request.params.ref}`;
  if (repository.store.data.refs[ref] === undefined) throw new ApiRefusal(422, 'Reference does not exist');
  delete repository.store.data.refs[ref];
  repository.store.save();
  return { status: 204 };
}

export function getContents(repository: Repository, request: JsonRequest): JsonReply {
  const path = request.params.path ?? '';
  const ref = request.query.get('ref') ?? 'main';
  const content = repository.store.data.contents[ref]?.[path] ?? repository.file?.(ref, path)?.toString('base64');
  if (content === undefined) throw notFound();
  return { status: 200, body: contentView(repository, path, content, true) };
}

/** By its sha: of a branch's files, which is what is written here. */
export function getBlob(repository: Repository, request: JsonRequest): JsonReply {
  const all = Object.values(repository.store.data.contents).flatMap((files) => Object.values(files));
  const base64 = all.find((each) => blobSha(Buffer.from(each, 'base64')) === request.params.sha);
  if (base64 === undefined) throw notFound();
  const size = Buffer.from(base64, 'base64').length;
  return { status: 200, body: { sha: request.params.sha, size, encoding: 'base64', content: wrapped(base64) } };
}

/** Creates or replaces a file. Replacing wants the sha of what is replaced; another's change in between is a 409. */
export function putContents(repository: Repository, request: JsonRequest): JsonReply {
  const path = request.params.path ?? '';
  const body = (request.body ?? {}) as { message?: string; content?: string; sha?: string; branch?: string };
  const branch = body.branch ?? 'main';
  const { data } = repository.store;
  if (body.message === undefined) throw invalid('Commit', 'message', 'missing_field');
  if (body.content === undefined) throw invalid('Commit', 'content', 'missing_field');
  const parent = data.refs[`refs/heads/${branch}`];
  if (parent === undefined) throw new ApiRefusal(404, `Branch ${branch} not found`);
  data.contents[branch] ??= {};
  const files = data.contents[branch];
  const present = files[path];
  if (present !== undefined && body.sha === undefined) {
    throw new ApiRefusal(422, 'Invalid request.\n\n"sha" wasn\'t supplied.');
  }
  const presentSha = present === undefined ? undefined : blobSha(Buffer.from(present, 'base64'));
  if (body.sha !== undefined && body.sha !== presentSha)
    throw new ApiRefusal(409, `${path} does not match ${body.sha}`);
  const content = Buffer.from(body.content, 'base64').toString('base64');
  files[path] = content;
  const date = timestamp();
  const sha = createHash('sha1').update(`${parent} ${path} ${content} ${date}`).digest('hex');
  const commit = { sha, message: body.message, date, parents: [parent] };
  data.commits.push(commit);
  data.refs[`refs/heads/${branch}`] = sha;
  repository.store.save();
  return {
    status: present === undefined ? 201 : 200,
    body: {
      content: contentView(repository, path, content, false),
      commit: { sha, message: body.message, html_url: `${repository.htmlUrl}/commit/${sha}` },
    },
  };
}

function setRef(repository: Repository, ref: string, sha: string | undefined): void {
  if (sha === undefined || !/^[0-9a-f]{40}$/.test(sha)) throw new ApiRefusal(422, 'Object does not exist');
  repository.store.data.refs[ref] = sha;
  repository.store.save();
}

function refView(repository: Repository, { baseUrl }: JsonRequest, ref: string): Record<string, unknown> {
  const sha = repository.store.data.refs[ref];
  if (sha === undefined) throw notFound();
  const base = `${baseUrl}/repos/${repository.owner}/${repository.repo}/git`;
  return {
    ref,
    node_id: nodeId('Ref', ref),
    url: `${base}/${ref}`,
    object: { sha, type: 'commit', url: `${base}/commits/${sha}` },
  };
}

function commitView(repository: Repository, commit: StoredCommit): Record<string, unknown> {
  const person = { name: 'Developer', email: 'developer@example.com', date: commit.date };
  return {
    sha: commit.sha,
    node_id: nodeId('Commit', commit.sha),
    html_url: `${repository.htmlUrl}/commit/${commit.sha}`,
    commit: { message: commit.message, author: person, committer: person, comment_count: 0 },
    author: userView('developer'),
    committer: userView('developer'),
    parents: commit.parents.map((sha) => ({ sha, html_url: `${repository.htmlUrl}/commit/${sha}` })),
  };
}

function contentView(repository: Repository, path: string, base64: string, whole: boolean): Record<string, unknown> {
  const content = Buffer.from(base64, 'base64');
  return {
    type: 'file',
    name: path.split('/').at(-1),
    path,
    sha: blobSha(content),
    size: content.length,
    html_url: `${repository.htmlUrl}/blob/main/${path}`,
    ...(whole ? contentOf(base64, content.length) : {}),
  };
}

/** Of a file of more than 1 MB GitHub gives none, and no error ("Get repository content": 1-100 MB). */
function contentOf(base64: string, size: number): Record<string, unknown> {
  return size > 1_048_576 ? { encoding: 'none', content: '' } : { encoding: 'base64', content: wrapped(base64) };
}

function wrapped(base64: string): string {
  return base64.replace(/.{60}/g, '$&\n');
}
