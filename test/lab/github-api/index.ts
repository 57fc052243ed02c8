import {
  type Answer,
  findRoute,
  type JsonRequest,
  type JsonServer,
  type Route,
  startJsonServer,
} from '../json-server.ts';
import { openStateFile } from '../state-file.ts';
import { ApiRefusal, notFound, refusalReply } from './errors.ts';
import { pushToMain } from './git.ts';
import { addPull, merge } from './pulls.ts';
import { githubRoutes } from './routes.ts';
import type { Repository, State } from './types.ts';

export type { State, StoredComment, StoredDeployment, StoredPull } from './types.ts';

export interface GithubApiOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Taken as `Bearer TOKEN` and as `token TOKEN`. */
  readonly token: string;
  /** The one repository there is. */
  readonly repository: { readonly owner: string; readonly repo: string };
  /** What it holds; survives the server. */
  readonly stateFile: string;
  readonly log: (line: string) => void;
  /** A file of a commit that was pushed; undefined when there is none. Without it only what was written through the API is there. */
  readonly file?: (sha: string, path: string) => Buffer | undefined;
  /** The paths that differ between two commits. Without it none does. */
  readonly changed?: (base: string, head: string) => string[];
  /** For tests: an answer instead of the real one. */
  readonly faults?: (request: JsonRequest) => Answer | undefined;
}

export interface GithubApiServer extends JsonServer {
  /** A copy of what the repository holds. */
  state(): State;
  /** A commit on main, as if pushed. Known ones are left as they are. */
  seedCommit(commit: { sha: string; message?: string }): void;
  /** A pull request that was merged as the commit `sha`, which becomes the head of main. Gives its number; the same one when it exists. */
  seedMergedPullRequest(pull: { sha: string; title: string; number?: number; login?: string }): number;
}

/** A GitHub REST API with one repository. Takes up what an earlier server of the same state file left. */
export async function startGithubApi(options: GithubApiOptions): Promise<GithubApiServer> {
  const { owner, repo } = options.repository;
  const store = openStateFile<State>(options.stateFile, {
    nextId: 1000,
    commits: [],
    pulls: [],
    issueComments: [],
    commitComments: [],
    deployments: [],
    labels: [],
    refs: {},
    contents: {},
  });
  const repository: Repository = {
    owner,
    repo,
    store,
    htmlUrl: `https://github.com/${owner}/${repo}`,
    file: options.file,
    changed: options.changed,
  };
  const routes = githubRoutes(repository);
  const server = await startJsonServer({
    host: options.host,
    port: options.port,
    log: options.log,
    malformed: refusalReply(new ApiRefusal(400, 'Problems parsing JSON')),
    answer: async (request) => {
      const scheme = /^(?:bearer|token) (.*)$/i.exec(request.headers.authorization ?? '');
      if (scheme?.[1] !== options.token) return refusalReply(new ApiRefusal(401, 'Bad credentials'));
      return options.faults?.(request) ?? (await answerRequest(routes, request, options.log));
    },
  });
  return {
    ...server,
    state: () => structuredClone(store.data),
    seedCommit: ({ sha, message = '' }) => pushToMain(repository, sha, message),
    seedMergedPullRequest: ({ sha, title, ...rest }) => {
      const known = store.data.pulls.find((pull) => pull.mergeCommitSha === sha);
      if (known !== undefined) return known.number;
      const facts = { title, body: null, headRef: `change-${sha.slice(0, 7)}`, headSha: sha, baseRef: 'main' };
      const pull = addPull(repository, { ...facts, ...rest });
      merge(repository, pull);
      return pull.number;
    },
  };
}

async function answerRequest(
  routes: readonly Route[],
  request: JsonRequest,
  log: (line: string) => void,
): Promise<Answer> {
  const found = findRoute(routes, request.method, request.path);
  try {
    if (found === undefined) {
      log(`github api: ${request.method} ${request.path}: the lab has no such operation`);
      throw notFound();
    }
    return await found.route.handle({ ...request, params: found.params });
  } catch (error) {
    if (error instanceof ApiRefusal) return refusalReply(error);
    throw error;
  }
}
