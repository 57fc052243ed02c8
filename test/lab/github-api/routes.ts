import type { JsonReply, JsonRequest, Route } from '../json-server.ts';
import * as comments from './comments.ts';
import * as deployments from './deployments.ts';
import { ApiRefusal, notFound } from './errors.ts';
import * as git from './git.ts';
import { page } from './pages.ts';
import * as pulls from './pulls.ts';
import { nodeId, type Repository } from './types.ts';

/** Every operation the lab speaks, of the one repository it has. */
export function githubRoutes(repository: Repository): Route[] {
  const base = '/repos/{owner}/{repo}';
  const route = (
    method: string,
    pattern: string,
    act: (repository: Repository, request: JsonRequest) => JsonReply,
  ): Route => ({
    method,
    pattern: `${base}${pattern}`,
    handle: (request) => {
      const { owner, repo } = request.params;
      if (owner !== repository.owner || repo !== repository.repo) throw notFound();
      return act(repository, request);
    },
  });
  const onIssue = (request: JsonRequest) => pulls.pullOf(repository, request).number;
  const onCommit = (request: JsonRequest) => {
    const { sha } = request.params;
    if (!repository.store.data.commits.some((commit) => commit.sha === sha)) {
      throw new ApiRefusal(422, `No commit found for SHA: ${sha}`);
    }
    return String(sha);
  };
  return [
    route('GET', '', () => ({ status: 200, body: repositoryView(repository) })),
    route('GET', '/pulls', pulls.listPulls),
    route('POST', '/pulls', pulls.createPull),
    route('GET', '/pulls/{number}', pulls.getPull),
    route('PATCH', '/pulls/{number}', pulls.updatePull),
    route('PUT', '/pulls/{number}/merge', pulls.mergePull),
    route('GET', '/commits', git.listCommits),
    route('GET', '/commits/{sha}', git.getCommit),
    route('GET', '/compare/{range}', git.compareCommits),
    route('GET', '/git/blobs/{sha}', (_, request) => git.getBlob(repository, request)),
    route('GET', '/commits/{sha}/pulls', pulls.pullsOfCommit),
    route('GET', '/commits/{sha}/comments', (_, request) =>
      comments.listComments(repository, request, 'commitComments', onCommit(request)),
    ),
    route('POST', '/commits/{sha}/comments', (_, request) =>
      comments.createComment(repository, request, 'commitComments', onCommit(request)),
    ),
    route('GET', '/comments/{commentId}', (_, request) => comments.getComment(repository, request, 'commitComments')),
    route('PATCH', '/comments/{commentId}', (_, request) =>
      comments.updateComment(repository, request, 'commitComments'),
    ),
    route('DELETE', '/comments/{commentId}', (_, request) =>
      comments.deleteComment(repository, request, 'commitComments'),
    ),
    route('GET', '/issues/comments/{commentId}', (_, request) =>
      comments.getComment(repository, request, 'issueComments'),
    ),
    route('PATCH', '/issues/comments/{commentId}', (_, request) =>
      comments.updateComment(repository, request, 'issueComments'),
    ),
    route('DELETE', '/issues/comments/{commentId}', (_, request) =>
      comments.deleteComment(repository, request, 'issueComments'),
    ),
    route('GET', '/issues/{number}/comments', (_, request) =>
      comments.listComments(repository, request, 'issueComments', onIssue(request)),
    ),
    route('POST', '/issues/{number}/comments', (_, request) =>
      comments.createComment(repository, request, 'issueComments', onIssue(request)),
    ),
    route('GET', '/issues/{number}/labels', pulls.listLabels),
    route('POST', '/issues/{number}/labels', pulls.addLabels),
    route('DELETE', '/issues/{number}/labels/{label}', pulls.removeLabel),
    route('GET', '/labels', (_, request) => page(request, repository.store.data.labels.map(pulls.labelView))),
    route('GET', '/deployments', deployments.listDeployments),
    route('POST', '/deployments', deployments.createDeployment),
    route('GET', '/deployments/{deploymentId}', deployments.getDeployment),
    route('GET', '/deployments/{deploymentId}/statuses', deployments.listStatuses),
    route('POST', '/deployments/{deploymentId}/statuses', deployments.createStatus),
    route('GET', '/git/ref/{ref*}', git.getRef),
    route('GET', '/git/matching-refs/{ref*}', git.matchingRefs),
    route('POST', '/git/refs', git.createRef),
    route('PATCH', '/git/refs/{ref*}', git.updateRef),
    route('DELETE', '/git/refs/{ref*}', git.deleteRef),
    route('GET', '/contents/{path*}', git.getContents),
    route('PUT', '/contents/{path*}', git.putContents),
  ];
}

function repositoryView({ owner, repo, htmlUrl }: Repository): Record<string, unknown> {
  return {
    id: 1,
    node_id: nodeId('Repository', 1),
    name: repo,
    full_name: `${owner}/${repo}`,
    owner: { login: owner, type: 'Organization' },
    private: true,
    html_url: htmlUrl,
    default_branch: 'main',
  };
}
