import { getOctokit } from '@actions/github';
import { sleep } from './deadline.ts';
import { FiredrillError, messageOf } from './errors.ts';
import type { Secret } from './secret.ts';

export interface GithubOptions {
  /** GITHUB_API_URL: GitHub's own, an enterprise server's, or the lab's. */
  readonly baseUrl: string;
  /** `owner/name` */
  readonly repository: string;
  readonly token: Secret;
  /** For one request. */
  readonly timeoutMs?: number;
}

export interface PostedComment {
  readonly url: string;
  readonly created: boolean;
}

export interface PullRequest {
  readonly number: number;
  readonly title: string;
  readonly url: string;
}

/** The few calls that Firedrill makes to GitHub. Each throws a FiredrillError (`remote`) that says which call failed and why. */
export interface Github {
  /** The commit of the newest deployment to that environment whose latest status is `success`; undefined when there is none. */
  deployedCommit(environment: string): Promise<string | undefined>;
  /** The pull request that brought that commit; undefined when it was pushed without one. */
  pullOfCommit(sha: string): Promise<PullRequest | undefined>;
  /** Updates the comment of our own, or of another bot, that starts with `marker`, or makes one. Safe to repeat. */
  commentOnPull(number: number, marker: string, body: string): Promise<PostedComment>;
  commentOnCommit(sha: string, marker: string, body: string): Promise<PostedComment>;
  /** Safe to repeat, both of them. */
  addLabel(number: number, label: string): Promise<void>;
  removeLabel(number: number, label: string): Promise<void>;
  /** The newest 100 at most of the commits that `head` has and `base` hasn't, oldest first, and what they change. */
  compare(base: string, head: string): Promise<Comparison>;
  /** Of a branch, a tag or a commit. Undefined when there is no such file, or no such branch. */
  readFile(branch: string, path: string): Promise<StoredFile | undefined>;
  /** Compare-and-set: false when the file is not the version `replaces` any more, or is there although it should not be. */
  writeFile(write: FileWrite): Promise<boolean>;
  /** One that is there stays as it is. */
  makeBranch(branch: string, sha: string): Promise<void>;
}

export interface Comparison {
  readonly total: number;
  /** How many commits `base` has and `head` hasn't: what was taken back. */
  readonly behind: number;
  readonly commits: readonly { readonly sha: string; readonly title: string }[];
  /** The paths that differ, of 300 at most. */
  readonly files: readonly string[];
  /** The page that shows the difference. */
  readonly url: string;
}

export interface StoredFile {
  readonly text: string;
  /** Names this version of it. */
  readonly sha: string;
}

export interface FileWrite {
  readonly branch: string;
  readonly path: string;
  readonly text: string;
  /** Of the commit. */
  readonly message: string;
  /** The version that is replaced; undefined: the file is new. */
  readonly replaces: string | undefined;
}

type Octokit = ReturnType<typeof getOctokit>;

interface Comment {
  readonly id: number;
  readonly body?: string | null;
  readonly html_url: string;
  readonly user?: Author | null;
}

interface Author {
  readonly login: string;
  readonly type: string;
}

interface CommentStore {
  isOwn(author: Author): Promise<boolean>;
  pages(): AsyncIterable<{ data: readonly Comment[] }>;
  create(body: string): Promise<{ data: Comment }>;
  update(id: number, body: string): Promise<{ data: Comment }>;
}

/** Throws a FiredrillError (`config`) for a repository that isn't `owner/name`. */
export function githubApi(options: GithubOptions): Github {
  const [owner, repo, ...rest] = options.repository.split('/');
  if (!owner || !repo || rest.length > 0)
    throw new FiredrillError({
      code: 'config',
      where: 'GITHUB_REPOSITORY',
      what: `"${options.repository}" is not of the form owner/name`,
      fix: 'On Actions it is set; elsewhere set it yourself',
    });
  const octokit = getOctokit(options.token.reveal(), { baseUrl: options.baseUrl, log: quiet });
  octokit.hook.before('request', (request) => {
    request.request = { ...request.request, signal: AbortSignal.timeout(options.timeoutMs ?? 15_000) };
  });
  const at = { owner, repo };
  const isOwn = ownAuthor(octokit);
  return {
    deployedCommit: (environment) => attempt('deployments', () => deployedCommit(octokit, at, environment)),
    pullOfCommit: (sha) => attempt(`pull requests of ${sha}`, () => pullOfCommit(octokit, at, sha)),
    commentOnPull: (issue_number, marker, body) =>
      attempt(`comment on #${issue_number}`, () =>
        upsert({ ...issueComments(octokit, at, issue_number), isOwn }, marker, body),
      ),
    commentOnCommit: (commit_sha, marker, body) =>
      attempt(`comment on ${commit_sha}`, () =>
        upsert({ ...commitComments(octokit, at, commit_sha), isOwn }, marker, body),
      ),
    compare: (base, head) => attempt(`commits from ${base} to ${head}`, () => compare(octokit, at, base, head)),
    ...labels(octokit, at),
    ...files(octokit, at),
  };
}

type At = { readonly owner: string; readonly repo: string };

async function deployedCommit(octokit: Octokit, at: At, environment: string): Promise<string | undefined> {
  const pages = octokit.paginate.iterator(octokit.rest.repos.listDeployments, { ...at, environment, per_page: 30 });
  for await (const page of pages) {
    for (const deployment of page.data) {
      const statuses = await octokit.rest.repos.listDeploymentStatuses({
        ...at,
        deployment_id: deployment.id,
        per_page: 1, // newest first
      });
      if (statuses.data[0]?.state === 'success') return deployment.sha;
    }
  }
  return undefined;
}

async function pullOfCommit(octokit: Octokit, at: At, sha: string): Promise<PullRequest | undefined> {
  const { data } = await octokit.rest.repos.listPullRequestsAssociatedWithCommit({
    ...at,
    commit_sha: sha,
    per_page: 100,
  });
  const merged = data.filter((pull) => pull.merged_at !== null);
  const pull = merged.find((each) => each.merge_commit_sha === sha) ?? merged[0] ?? data[0];
  return pull === undefined ? undefined : { number: pull.number, title: pull.title, url: pull.html_url };
}

const comparePage = 100;

async function compare(octokit: Octokit, at: At, base: string, head: string): Promise<Comparison> {
  const basehead = `${base}...${head}`;
  const pageOf = async (page: number) =>
    (await octokit.rest.repos.compareCommitsWithBasehead({ ...at, basehead, per_page: comparePage, page })).data;
  // Files are on the first page, the newest commits on the last, with those before them on the last but one.
  const first = await pageOf(1);
  const pages = Math.ceil(first.total_commits / comparePage);
  const last = await Promise.all([pages - 1, pages].filter((page) => page > 1).map(pageOf));
  const listed = [first, ...last].flatMap((page) => page.commits).slice(-comparePage);
  return {
    total: first.total_commits,
    behind: first.behind_by,
    commits: listed.map(({ sha, commit }) => ({ sha, title: commit.message.split('\n', 1)[0] ?? '' })),
    files: (first.files ?? []).map(({ filename }) => filename),
    url: first.html_url,
  };
}

async function upsert(store: CommentStore, marker: string, body: string): Promise<PostedComment> {
  for await (const page of store.pages()) {
    for (const { id, body: text, user } of page.data) {
      // Starts with, not contains: somebody may quote a report. And anybody may write the marker.
      if (!text?.startsWith(marker) || !user || !(await store.isOwn(user))) continue;
      const updated = await store.update(id, body);
      return { url: updated.data.html_url, created: false };
    }
  }
  const created = await store.create(body);
  return { url: created.data.html_url, created: true };
}

/** A workflow's token acts as a bot and may not ask who it is; that of a person may. Asked when a person's comment has the marker. */
function ownAuthor(octokit: Octokit): CommentStore['isOwn'] {
  let login: string | undefined;
  return async (author) => {
    if (author.type === 'Bot') return true;
    login ??= await octokit.rest.users.getAuthenticated().then(
      ({ data }) => data.login,
      (error: unknown) => {
        if ([401, 403, 404].includes(statusOf(error) ?? 0)) return '';
        throw error;
      },
    );
    return author.login === login;
  };
}

function issueComments(octokit: Octokit, at: At, issue_number: number): Omit<CommentStore, 'isOwn'> {
  const { issues } = octokit.rest;
  return {
    pages: () => octokit.paginate.iterator(issues.listComments, { ...at, issue_number, per_page: 100 }),
    create: (body) => issues.createComment({ ...at, issue_number, body }),
    update: (comment_id, body) => issues.updateComment({ ...at, comment_id, body }),
  };
}

function commitComments(octokit: Octokit, at: At, commit_sha: string): Omit<CommentStore, 'isOwn'> {
  const { repos } = octokit.rest;
  return {
    pages: () => octokit.paginate.iterator(repos.listCommentsForCommit, { ...at, commit_sha, per_page: 100 }),
    create: (body) => repos.createCommitComment({ ...at, commit_sha, body }),
    update: (comment_id, body) => repos.updateCommitComment({ ...at, comment_id, body }),
  };
}

function labels(octokit: Octokit, at: At): Pick<Github, 'addLabel' | 'removeLabel'> {
  const { issues } = octokit.rest;
  return {
    addLabel: (issue_number, label) =>
      attempt(`label of #${issue_number}`, async () => {
        await issues.addLabels({ ...at, issue_number, labels: [label] });
      }),
    removeLabel: (issue_number, name) =>
      attempt(`label of #${issue_number}`, () =>
        issues.removeLabel({ ...at, issue_number, name }).then(
          () => {},
          (error: unknown) => {
            if (statusOf(error) !== 404) throw error;
          },
        ),
      ),
  };
}

function files(octokit: Octokit, at: At): Pick<Github, 'readFile' | 'writeFile' | 'makeBranch'> {
  const { repos, git } = octokit.rest;
  return {
    readFile: (ref, path) =>
      attempt(`${path} of ${ref}`, async () => {
        const found = await repos.getContent({ ...at, path, ref }).catch((error: unknown) => {
          if (statusOf(error) === 404) return undefined;
          throw error;
        });
        if (found === undefined || !('content' in found.data) || typeof found.data.content !== 'string')
          return undefined;
        const { content, sha, ...file } = found.data;
        // Of a file of more than 1 MB GitHub gives the version and no content; that is the blob's, up to 100 MB.
        const whole = 'encoding' in file && file.encoding === 'base64';
        const base64 = whole ? content : (await git.getBlob({ ...at, file_sha: sha })).data.content;
        return { text: Buffer.from(base64, 'base64').toString('utf8'), sha };
      }),
    writeFile: ({ branch, path, text, message, replaces }) =>
      attempt(`${path} of ${branch}`, async () => {
        const content = Buffer.from(text).toString('base64');
        const sha = replaces === undefined ? {} : { sha: replaces };
        return await repos.createOrUpdateFileContents({ ...at, branch, path, message, content, ...sha }).then(
          () => true,
          (error: unknown) => {
            if ([409, 422].includes(statusOf(error) ?? 0)) return false;
            throw error;
          },
        );
      }),
    makeBranch: (branch, sha) =>
      attempt(`branch ${branch}`, async () => {
        await git.createRef({ ...at, ref: `refs/heads/${branch}`, sha }).catch((error: unknown) => {
          if (statusOf(error) !== 422 || !/exists/i.test(messageOf(error))) throw error;
        });
      }),
  };
}

/** Three attempts at what may pass by itself. Every call above can be repeated: a comment is looked for before it is made. */
async function attempt<T>(what: string, work: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await work();
    } catch (error) {
      const status = statusOf(error);
      const passing = status === undefined || status === 429 || status >= 500;
      if (!passing || tried === 3) throw githubError(what, status, error);
      await sleep(tried * 1000);
    }
  }
}

/** Whether GitHub refused a call of this file to this token (403): trying again changes nothing, only a grant does. */
export function isForbidden(error: unknown): boolean {
  return error instanceof FiredrillError && statusOf(error.cause) === 403;
}

function statusOf(error: unknown): number | undefined {
  return (error as { status?: number } | undefined)?.status;
}

function githubError(what: string, status: number | undefined, error: unknown): FiredrillError {
  return new FiredrillError({
    code: 'remote',
    where: `GitHub, ${what}`,
    what: status === undefined ? messageOf(error) : `${status}: ${messageOf(error)}`,
    fix:
      status === 401 || status === 403 || status === 404
        ? 'Check that the job grants this token deployments: read, contents: write (commit comments) and pull-requests: write'
        : 'The report is in out/ and in the job summary; run the drill again to post it',
    cause: error,
  });
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
