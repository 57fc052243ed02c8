import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Github, githubApi, isForbidden } from '../../actions/core/github.ts';
import { Secret } from '../../actions/core/secret.ts';
import { type GithubApiServer, startGithubApi } from '../lab/github-api/index.ts';

const repository = { owner: 'acme', repo: 'shop' };
const token = 'token-for-tests';
const marker = '<!-- firedrill:report environment=lab -->';
const sha = (letter: string) => letter.repeat(40);

let folder: string;
let server: GithubApiServer;
let github: Github;
/** How many of the next requests are answered with this status instead. */
let failing = { left: 0, status: 502 };
/** What GET of these paths (their end) answers instead. */
let planted: Record<string, { status: number; body: unknown }> = {};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-github-'));
  failing = { left: 0, status: 502 };
  planted = {};
  server = await startGithubApi({
    host: '127.0.0.1',
    port: 0,
    token,
    repository,
    stateFile: join(folder, 'state.json'),
    log: () => {},
    faults: ({ method, path }) => {
      const instead = Object.keys(planted).find((end) => method === 'GET' && path.endsWith(end));
      if (instead !== undefined) return planted[instead];
      if (failing.left === 0) return undefined;
      failing.left -= 1;
      return { status: failing.status, body: { message: 'planted' } };
    },
  });
  github = githubApi({ baseUrl: server.url, repository: 'acme/shop', token: new Secret(token) });
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function call(method: string, path: string, body: unknown): Promise<{ id: number }> {
  const response = await fetch(`${server.url}/repos/acme/shop${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  return (await response.json()) as { id: number };
}

async function deployed(commit: string, ...states: string[]): Promise<void> {
  server.seedCommit({ sha: commit });
  const { id } = await call('POST', '/deployments', { ref: commit, environment: 'lab', auto_merge: false });
  for (const state of states) await call('POST', `/deployments/${id}/statuses`, { state });
}

describe('the deployed commit', () => {
  test('is that of the newest deployment that succeeded', async () => {
    await deployed(sha('a'), 'success');
    await deployed(sha('b'), 'in_progress', 'success');
    await deployed(sha('c'), 'in_progress', 'failure');
    await expect(github.deployedCommit('lab')).resolves.toBe(sha('b'));
  });

  test('is unknown where nothing was deployed', async () => {
    await expect(github.deployedCommit('production')).resolves.toBeUndefined();
  });
});

describe('the report', () => {
  test('finds the pull request of a commit, or that there is none', async () => {
    const number = server.seedMergedPullRequest({ sha: sha('a'), title: 'Raise the backlog' });
    await expect(github.pullOfCommit(sha('a'))).resolves.toMatchObject({ number, title: 'Raise the backlog' });
    server.seedCommit({ sha: sha('b') });
    await expect(github.pullOfCommit(sha('b'))).resolves.toBeUndefined();
  });

  test('is one comment, updated in place, found behind a hundred others', async () => {
    const number = server.seedMergedPullRequest({ sha: sha('a'), title: 'x' });
    for (let count = 0; count < 120; count += 1)
      await call('POST', `/issues/${number}/comments`, { body: `> ${marker}\nquoted ${count}` });
    const first = await github.commentOnPull(number, marker, `${marker}\none`);
    const second = await github.commentOnPull(number, marker, `${marker}\ntwo`);
    expect([first.created, second.created]).toEqual([true, false]);
    expect(second.url).toBe(first.url);
    const comments = server.state().issueComments;
    expect(comments).toHaveLength(121);
    expect(comments.at(-1)?.body).toBe(`${marker}\ntwo`);
  });

  test.each([
    ['somebody, for whom a bot asks', { status: 403, body: { message: 'not accessible by integration' } }, true],
    ['somebody else', { status: 200, body: { login: 'robo', type: 'User' } }, true],
    ['the owner of the token', { status: 200, body: { login: 'mallory', type: 'User' } }, false],
  ])('is not a comment with its marker unless it is our own: of %s', async (_, user, created) => {
    const number = server.seedMergedPullRequest({ sha: sha('a'), title: 'x' });
    const { id } = await call('POST', `/issues/${number}/comments`, { body: `${marker}\nmine` });
    const comment = { id, body: `${marker}\nmine`, html_url: 'x', user: { login: 'mallory', type: 'User' } };
    planted = { '/user': user, [`/issues/${number}/comments`]: { status: 200, body: [comment] } };
    expect((await github.commentOnPull(number, marker, `${marker}\none`)).created).toBe(created);
    expect(server.state().issueComments[0]?.body).toBe(`${marker}\n${created ? 'mine' : 'one'}`);
  });

  test('goes to the commit where there is no pull request', async () => {
    server.seedCommit({ sha: sha('b') });
    await github.commentOnCommit(sha('b'), marker, `${marker}\none`);
    await github.commentOnCommit(sha('b'), marker, `${marker}\ntwo`);
    expect(server.state().commitComments.map((comment) => comment.body)).toEqual([`${marker}\ntwo`]);
  });
});

describe("GitHub's failure", () => {
  test('that passes is tried again, and no comment is made twice', async () => {
    const number = server.seedMergedPullRequest({ sha: sha('a'), title: 'x' });
    failing = { left: 1, status: 502 };
    await github.commentOnPull(number, marker, `${marker}\none`);
    expect(server.state().issueComments).toHaveLength(1);
  });

  test('that does not pass names the call, the reason and what to do, but not the token', async () => {
    failing = { left: 100, status: 403 };
    const error = await github.commentOnPull(1, marker, marker).catch((caught: unknown) => caught);
    expect(String(error)).toMatch(/comment on #1.*403.*planted.*pull-requests: write/);
    expect(String(error)).not.toContain(token);
    expect(isForbidden(error)).toBe(true);
    failing = { left: 100, status: 404 };
    expect(isForbidden(await github.commentOnPull(1, marker, marker).catch((caught: unknown) => caught))).toBe(false);
  });

  test('to be named rightly is a mistake of the caller', () => {
    expect(() => githubApi({ baseUrl: server.url, repository: 'shop', token: new Secret('t') })).toThrow('owner/name');
  });
});
