import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type GithubApiServer, startGithubApi } from '../lab/github-api/index.ts';

type Json = Record<string, unknown>;
interface Answer<T> {
  readonly status: number;
  readonly body: T;
  readonly link: string | null;
}

const sha = 'a'.repeat(40);
const newer = 'b'.repeat(40);

async function startHub(): Promise<{
  server: GithubApiServer;
  call: <T = Json>(method: string, path: string, body?: unknown, token?: string) => Promise<Answer<T>>;
  restart: () => Promise<GithubApiServer>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-github-'));
  const start = () =>
    startGithubApi({
      host: '127.0.0.1',
      port: 0,
      token: 'secret',
      repository: { owner: 'firedrill', repo: 'lab' },
      stateFile: join(folder, 'github.json'),
      log: () => {},
    });
  let server = await start();
  onTestFinished(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return {
    server,
    call: async <T>(method: string, path: string, body?: unknown, token = 'Bearer secret') => {
      const response = await fetch(`${server.url}/repos/firedrill/lab${path}`, {
        method,
        headers: { authorization: token },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        body: (text === '' ? undefined : JSON.parse(text)) as T,
        link: response.headers.get('link'),
      };
    },
    restart: async () => {
      await server.close();
      server = await start();
      return server;
    },
  };
}

describe("the lab's GitHub API", () => {
  it('lets nobody in without the token, in either scheme', async () => {
    const { call } = await startHub();
    expect((await call('GET', '/pulls', undefined, 'Bearer wrong')).status).toBe(401);
    expect((await call('GET', '/pulls', undefined, 'token secret')).status).toBe(200);
  });

  it('finds the pull request of a merged commit', async () => {
    const { server, call } = await startHub();
    const number = server.seedMergedPullRequest({ sha, title: 'Change the timeout', number: 7 });
    const pulls = await call<Json[]>('GET', `/commits/${sha}/pulls`);
    expect(pulls.body).toMatchObject([{ number, state: 'closed', merge_commit_sha: sha, title: 'Change the timeout' }]);
    expect((await call('GET', `/commits/${newer}/pulls`)).body).toEqual([]);
    expect(server.seedMergedPullRequest({ sha, title: 'again' })).toBe(7);
  });

  it('lists comments page by page with a Link header', async () => {
    const { server, call } = await startHub();
    server.seedMergedPullRequest({ sha, title: 'x', number: 1 });
    for (let index = 0; index < 5; index += 1) await call('POST', '/issues/1/comments', { body: `comment ${index}` });
    const first = await call<Json[]>('GET', '/issues/1/comments?per_page=2');
    expect(first.body.map((each) => each.body)).toEqual(['comment 0', 'comment 1']);
    expect(first.link).toMatch(/page=2>; rel="next".*page=3>; rel="last"/);
    const last = await call<Json[]>('GET', '/issues/1/comments?per_page=2&page=3');
    expect(last.body).toHaveLength(1);
    expect(last.link).not.toContain('rel="next"');
  });

  it('updates and deletes a comment, and refuses one that is too long', async () => {
    const { server, call } = await startHub();
    server.seedMergedPullRequest({ sha, title: 'x', number: 1 });
    const { body: comment } = await call('POST', '/issues/1/comments', { body: 'first' });
    expect(comment).toMatchObject({ user: { login: 'github-actions[bot]', type: 'Bot' } });
    expect((await call('PATCH', `/issues/comments/${comment.id}`, { body: 'second' })).body).toMatchObject({
      body: 'second',
    });
    expect((await call('PATCH', `/issues/comments/${comment.id}`, { body: 'x'.repeat(65_536) })).status).toBe(200);
    expect((await call('PATCH', `/issues/comments/${comment.id}`, { body: 'x'.repeat(65_537) })).status).toBe(422);
    expect((await call('DELETE', `/issues/comments/${comment.id}`)).status).toBe(204);
    expect((await call('GET', `/issues/comments/${comment.id}`)).status).toBe(404);
    expect((await call('POST', '/issues/99/comments', { body: 'x' })).status).toBe(404);
  });

  it('comments on a commit', async () => {
    const { server, call } = await startHub();
    server.seedCommit({ sha });
    expect((await call('POST', `/commits/${sha}/comments`, { body: 'x' })).body).toMatchObject({ commit_id: sha });
    expect((await call<Json[]>('GET', `/commits/${sha}/comments`)).body).toHaveLength(1);
  });

  it('lists deployments newest first, by environment', async () => {
    const { server, call } = await startHub();
    server.seedCommit({ sha });
    for (const environment of ['lab', 'other', 'lab']) await call('POST', '/deployments', { ref: 'main', environment });
    const { body } = await call<{ id: number; sha: string }[]>('GET', '/deployments?environment=lab');
    expect(body.map((each) => each.sha)).toEqual([sha, sha]);
    expect(body[0]?.id).toBeGreaterThan(body[1]?.id ?? Infinity);
    expect((await call('POST', '/deployments', { ref: 'nowhere' })).status).toBe(422);
  });

  it('makes earlier deployments inactive when one succeeds, but not in production', async () => {
    const { call } = await startHub();
    const deploy = async (environment: string, ref: string) => {
      const { body } = await call('POST', '/deployments', { ref, environment });
      await call('POST', `/deployments/${body.id}/statuses`, { state: 'in_progress' });
      await call('POST', `/deployments/${body.id}/statuses`, { state: 'success' });
      return body.id;
    };
    const newest = async (id: unknown) => (await call<Json[]>('GET', `/deployments/${id}/statuses`)).body[0]?.state;
    const lab = [await deploy('lab', sha), await deploy('lab', newer)];
    const production = [await deploy('production', sha), await deploy('production', newer)];
    expect(await Promise.all(lab.map(newest))).toEqual(['inactive', 'success']);
    expect(await Promise.all(production.map(newest))).toEqual(['success', 'success']);
    expect((await call('POST', `/deployments/${lab[0]}/statuses`, { state: 'fine' })).status).toBe(422);
  });

  it('keeps a file, and answers 409 to one who would overwrite a change not seen', async () => {
    const { server, call } = await startHub();
    server.seedCommit({ sha });
    const put = (text: string, known?: unknown) =>
      call<{ content: Json; commit: Json }>('PUT', '/contents/history/lab.json', {
        message: 'history',
        content: Buffer.from(text).toString('base64'),
        branch: 'drills',
        ...(known === undefined ? {} : { sha: known }),
      });
    expect((await put('one')).status).toBe(404);
    expect((await call('POST', '/git/refs', { ref: 'refs/heads/drills', sha })).status).toBe(201);
    const one = await put('one');
    expect(one.status).toBe(201);
    expect((await put('two')).status).toBe(422);
    const two = await put('two', one.body.content.sha);
    expect(two.status).toBe(200);
    expect((await put('three', one.body.content.sha)).status).toBe(409);
    const { body } = await call('GET', '/contents/history/lab.json?ref=drills');
    expect(Buffer.from(String(body.content), 'base64').toString()).toBe('two');
    expect((await call('GET', '/git/ref/heads/drills')).body).toMatchObject({ object: { sha: two.body.commit.sha } });
  });

  it('opens a pull request from a branch, with labels', async () => {
    const { server, call } = await startHub();
    server.seedCommit({ sha });
    const request = { title: 'Revert', head: 'revert', base: 'main' };
    expect((await call('POST', '/pulls', request)).status).toBe(422);
    await call('POST', '/git/refs', { ref: 'refs/heads/revert', sha: newer });
    const { body } = await call('POST', '/pulls', request);
    expect(body).toMatchObject({ number: 1, state: 'open', head: { ref: 'revert', sha: newer } });
    await call('POST', '/issues/1/labels', { labels: ['drill'] });
    expect((await call('GET', '/pulls/1')).body).toMatchObject({ labels: [{ name: 'drill' }] });
    expect((await call('POST', '/pulls', request)).status).toBe(422);
  });

  it('merges a pull request once, as the head that was reviewed', async () => {
    const { call } = await startHub();
    const { body } = await call('POST', '/pulls', { title: 'Change', head: sha, base: 'main' });
    const merge = `/pulls/${body.number}/merge`;
    expect((await call('PUT', merge, { sha: newer })).status).toBe(409);
    expect((await call('PUT', merge, { sha })).body).toMatchObject({ merged: true, sha });
    expect((await call('PUT', merge, { sha })).status).toBe(405);
    expect((await call<Json[]>('GET', `/commits/${sha}/pulls`)).body).toMatchObject([{ merge_commit_sha: sha }]);
    expect((await call('GET', '/commits/main')).body).toMatchObject({ sha });
  });

  it('remembers everything across a restart', async () => {
    const { server, call, restart } = await startHub();
    server.seedMergedPullRequest({ sha, title: 'x', number: 3 });
    await call('POST', '/issues/3/comments', { body: 'kept' });
    const before = server.state();
    expect((await restart()).state()).toEqual(before);
  });
});
