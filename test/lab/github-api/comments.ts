import type { JsonReply, JsonRequest } from '../json-server.ts';
import { invalid, notFound } from './errors.ts';
import { page } from './pages.ts';
import { bot, nextId, nodeId, type Repository, type StoredComment, timestamp } from './types.ts';

/** GitHub refuses a longer comment (characters). */
export const commentLimit = 65_536;

type Kind = 'issueComments' | 'commitComments';

export function listComments(repository: Repository, request: JsonRequest, kind: Kind, on: number | string): JsonReply {
  const since = request.query.get('since');
  const comments = repository.store.data[kind].filter(
    (comment) => comment.on === on && (since === null || comment.updatedAt >= since),
  );
  return page(
    request,
    comments.map((comment) => commentView(repository, kind, comment)),
  );
}

export function createComment(
  repository: Repository,
  request: JsonRequest,
  kind: Kind,
  on: number | string,
): JsonReply {
  const now = timestamp();
  const comment = { id: nextId(repository), on, body: bodyOf(request), createdAt: now, updatedAt: now };
  repository.store.data[kind].push(comment);
  repository.store.save();
  return { status: 201, body: commentView(repository, kind, comment) };
}

export function getComment(repository: Repository, request: JsonRequest, kind: Kind): JsonReply {
  return { status: 200, body: commentView(repository, kind, commentOf(repository, request, kind)) };
}

export function updateComment(repository: Repository, request: JsonRequest, kind: Kind): JsonReply {
  const comment = commentOf(repository, request, kind);
  comment.body = bodyOf(request);
  comment.updatedAt = timestamp();
  repository.store.save();
  return { status: 200, body: commentView(repository, kind, comment) };
}

export function deleteComment(repository: Repository, request: JsonRequest, kind: Kind): JsonReply {
  const comment = commentOf(repository, request, kind);
  const { data } = repository.store;
  data[kind] = data[kind].filter((each) => each !== comment);
  repository.store.save();
  return { status: 204 };
}

function commentOf(repository: Repository, request: JsonRequest, kind: Kind): StoredComment {
  const comment = repository.store.data[kind].find((each) => each.id === Number(request.params.commentId));
  if (comment === undefined) throw notFound();
  return comment;
}

function bodyOf(request: JsonRequest): string {
  const body = (request.body as { body?: unknown } | undefined)?.body;
  if (typeof body !== 'string') throw invalid('IssueComment', 'body', 'missing_field');
  // Counted as people count, not in UTF-16 units.
  if ([...body].length > commentLimit) {
    throw invalid('IssueComment', 'data', 'unprocessable', `Body is too long (maximum is ${commentLimit} characters)`);
  }
  return body;
}

function commentView(repository: Repository, kind: Kind, comment: StoredComment): Record<string, unknown> {
  const { id, on } = comment;
  const common = {
    id,
    node_id: nodeId(kind, id),
    body: comment.body,
    user: bot,
    author_association: 'NONE',
    created_at: comment.createdAt,
    updated_at: comment.updatedAt,
  };
  if (kind === 'commitComments') {
    return {
      ...common,
      commit_id: on,
      html_url: `${repository.htmlUrl}/commit/${on}#commitcomment-${id}`,
      path: null,
      position: null,
      line: null,
    };
  }
  return { ...common, html_url: `${repository.htmlUrl}/pull/${on}#issuecomment-${id}` };
}
