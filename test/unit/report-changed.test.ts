import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Github, githubApi } from '../../actions/core/github.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { Night } from '../../actions/drill/history/night.ts';
import { changedSection, changedSettings, changedSince } from '../../actions/drill/report/changed.ts';
import { type GithubApiServer, startGithubApi } from '../lab/github-api/index.ts';

const [first, second, third] = ['1', '2', '3'].map((digit) => digit.repeat(40)) as [string, string, string];
const files: Record<string, string> = {
  [first]: 'name: lab\nsentinel: { downAfterMs: 1000 }\nnodes:\n  - { name: redis-1, address: 10.0.0.1 }\n',
  [third]: 'name: lab\nsentinel: { downAfterMs: 500, quorum: 2 }\nnodes:\n  - { name: redis-1, address: 10.0.0.9 }\n',
};

let folder: string;
let server: GithubApiServer;
let github: Github;
let lines: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-changed-'));
  lines = [];
  const at = { host: '127.0.0.1', port: 0, token: 'token', repository: { owner: 'acme', repo: 'shop' } };
  const file = (sha: string, path: string): Buffer | undefined =>
    path === 'environments/lab.yaml' && files[sha] !== undefined ? Buffer.from(files[sha]) : undefined;
  const changed = () => ['c-app/store.c', 'configs/redis/redis.conf'];
  server = await startGithubApi({ ...at, stateFile: join(folder, 'state.json'), log: () => {}, file, changed });
  server.seedCommit({ sha: first, message: 'The first' });
  server.seedCommit({ sha: second, message: 'Alerts | that @somebody hears\n\nat last' });
  server.seedCommit({ sha: third, message: 'Sentinel suspects sooner' });
  github = githubApi({ baseUrl: server.url, repository: 'acme/shop', token: new Secret('token') });
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function since(commit: string | null, now: string) {
  const night = {
    version: 1,
    at: '2026-03-01T03:17:00.000Z',
    run: '1.1',
    environment: 'lab',
    commit,
    ok: true,
  } as const;
  const history: Night[] = commit === null ? [] : [{ ...night, scenarios: [] }];
  const log = plainLog((line) => lines.push(line));
  return changedSince(github, history, 'lab', now, log);
}

describe('what changed since the last drill', () => {
  test('says when commits were taken back', async () => {
    const changed = await since(third, first);
    expect(changed).toMatchObject({ total: 0, behind: 2 });
    expect(changedSection(changed ?? expect.unreachable())).toContain('and 2 commits taken back, 3 settings');
  });

  test('shows the newest commits, however many there are', async () => {
    for (let index = 0; index < 230; index += 1)
      server.seedCommit({ sha: index.toString(16).padStart(40, '0'), message: `Commit ${index}` });
    const last = (229).toString(16).padStart(40, '0');
    const changed = await since(third, last);
    expect(changed).toMatchObject({ total: 230, behind: 0 });
    expect(changed?.commits.map(({ title }) => title)).toEqual(
      Array.from({ length: 8 }, (_, index) => `Commit ${229 - index}`),
    );
  });

  test('is the commits between the two that were deployed, the newest first, and the settings', async () => {
    const changed = await since(first, third);
    expect(changed).toMatchObject({ total: 2, commits: [{ sha: third }, { sha: second }] });
    expect(changedSection(changed ?? expect.unreachable())).toBe(
      [
        '**What changed** since the last drill (2026-03-01 03:17 UTC, commit 111111111111): [2 commits](https://github.com/acme/shop/compare/' +
          `${first}...${third}), 3 settings of the environment.`,
        '',
        '- 333333333333 Sentinel suspects sooner',
        '- 222222222222 Alerts \\| that @\u200bsomebody hears',
        '- `configs/redis/redis.conf` changed',
        '- `nodes.redis-1.address`: `10.0.0.1` to `10.0.0.9`',
        '- `sentinel.downAfterMs`: `1000` to `500`',
        '- `sentinel.quorum`: the default to `2`',
      ].join('\n'),
    );
  });

  test('is nothing when the same commit is deployed', async () => {
    const changed = await since(third, third);
    expect(changedSection(changed ?? expect.unreachable())).toMatch(
      /^\*\*What changed:\*\* nothing was deployed since/,
    );
  });

  test('says so when the settings can not be read', async () => {
    const changed = await since(second, third);
    expect(changedSection(changed ?? expect.unreachable())).toContain('settings could not be compared');
  });

  test('is left out without a drill before, and with a warning when GitHub does not know', async () => {
    expect(await since(null, third)).toBeUndefined();
    expect(lines).toEqual([]);
    expect(await since('f'.repeat(40), third)).toBeUndefined();
    expect(lines.join()).toMatch(/warning: What changed since the last drill is unknown: .*404/);
  });

  test('counts what is the same, however it is written, as no change', () => {
    expect(changedSettings('a: { b: 1, c: [1, 2] }\n', 'a:\n  c:\n    - 1\n    - 2\n  b: 1 # why\n')).toEqual([]);
    expect(changedSettings('a: [1]\n', 'a: [1, 2]\n')).toEqual([{ key: 'a', before: '[1]', after: '[1,2]' }]);
  });
});
