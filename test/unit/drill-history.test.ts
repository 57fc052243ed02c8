import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Github, githubApi } from '../../actions/core/github.ts';
import { Secret } from '../../actions/core/secret.ts';
import { drawHistory } from '../../actions/drill/history/draw.ts';
import {
  hasNight,
  type Night,
  nightOf,
  nightSchema,
  parseHistory,
  withNight,
} from '../../actions/drill/history/night.ts';
import { appendNight, type HistoryStore, historyBranch, readHistory } from '../../actions/drill/history/store.ts';
import { chart, trendOf } from '../../actions/drill/history/trend.ts';
import { type RunReport, type ScenarioReport, scenarioReport } from '../../actions/drill/report/data.ts';
import { postComment, redLabel } from '../../actions/drill/report/post.ts';
import { type GithubApiServer, startGithubApi } from '../lab/github-api/index.ts';

const commit = 'a'.repeat(40);
const day = (index: number) => new Date(Date.UTC(2026, 0, 1 + index, 3, 17)).toISOString();

function night(index: number, p50 = 1400, rest: Partial<Night> = {}): Night {
  const figures = { p50, p95: p50 + 50, max: p50 + 60, requests: 9000, failed: 0, acked: 4500, lost: 0 };
  const scenarios = [{ name: 'redis-primary-kill', ok: true, runs: 1, ...figures }];
  return { version: 1, at: day(index), run: `${index}.1`, environment: 'lab', commit, ok: true, scenarios, ...rest };
}

const tonight = (p50: number | null): ScenarioReport => ({
  name: 'redis-primary-kill',
  ok: true,
  runs: [],
  recoveryMs: { p50, p95: p50, max: p50 },
  budgetMs: 5000,
});

describe('the history', () => {
  test('is lines that the JSON Schema beside it describes', () => {
    const file = new URL('../../actions/drill/history/schema.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(z.toJSONSchema(nightSchema));
  });

  test('keeps what was there as it was, and a year of it', () => {
    const first = withNight('', night(0));
    const second = withNight(first, night(1));
    expect(second.startsWith(first)).toBe(true);
    expect(parseHistory(second).map(({ at }) => at)).toEqual([day(0), day(1)]);
    expect(parseHistory(withNight(second, night(366)))).toHaveLength(3);
    expect(parseHistory(withNight(second, night(367))).map(({ at }) => at)).toEqual([day(1), day(367)]);
    expect([hasNight(second, night(1)), hasNight(second, night(2))]).toEqual([true, false]);
  });

  test('names the line that is no drill', () => {
    expect(() => parseHistory(`${JSON.stringify(night(0))}\n{"at":1}\n`)).toThrow(/line 2/);
  });

  test('is drawn with p50 and p95 of every night', () => {
    const text = drawHistory([night(0, 1000), night(1, 2000, { ok: false })]);
    expect(text).toMatch(/redis-primary-kill\n {2}2026-01-01 03:17 {2}ok {3}#{20}.* p50 {3}1000 ms {2}p95 {3}1050 ms/);
    expect(drawHistory([])).toContain('no drill yet');
  });
});

test('a recovery that was not measured is no figure: not in a night, nor in what later nights are compared with', () => {
  const name = 'redis-primary-kill';
  const counts = { requests: 9000, failedRequests: 0, ackedWrites: 4500, lostWrites: 0, falseFailovers: 0 };
  const phases = { faultAt: null, stalledMs: 8, detectedMs: null, electedMs: null, promotedMs: null };
  const run = (recoveryMs: number | null): RunReport => {
    const how = { ok: recoveryMs !== null, reason: recoveryMs === null ? 'not measured' : null };
    return { ...counts, ...phases, ...how, recoveryMs, alert: null, detail: null };
  };
  const drilled = (index: number, ...recoveries: (number | null)[]): Night => {
    const scenarios = [scenarioReport(name, 5000, recoveries.map(run))];
    const rest = { environment: 'lab', commit, finishedAt: day(index), ok: true, notStarted: null, clocks: [] };
    return nightOf({ version: 1, startedAt: day(index), ...rest, scenarios }, `${index}`);
  };
  const figures = ({ scenarios: [only] }: Night) => [only?.p50, only?.p95, only?.max];
  expect(figures(drilled(0, null))).toEqual([null, null, null]);
  expect(figures(drilled(0, null, 1400, 1500))).toEqual([1400, 1500, 1500]);
  expect(figures(drilled(0, 0))).toEqual([0, 0, 0]); // nobody noticed, and that was measured
  const nights = Array.from({ length: 24 }, (_, index) => drilled(index, index % 2 === 0 ? 1400 + index : null));
  const now = scenarioReport(name, 5000, [run(1300)]);
  expect(trendOf(now, nights)).toMatchObject({ nights: 12, minMs: 1400, maxMs: 1422, tonight: 'faster' });
  expect(chart(name, nights)).toContain('    bar [1400, 1402,');
  expect(drawHistory(nights.slice(0, 2))).toContain('RED  not measured');
});

describe('a change is outside the measured spread of the last 30 nights', () => {
  const nights = (count: number) => Array.from({ length: count }, (_, index) => night(index, 1400 + (index % 10)));

  test.each([
    [1410, 'slower'],
    [1399, 'faster'],
    [1409, 'within'],
  ])('%i ms is %s', (p50, expected) => {
    expect(trendOf(tonight(p50), nights(40))).toMatchObject({
      nights: 30,
      tonight: expected,
      minMs: 1400,
      maxMs: 1409,
    });
  });

  test('with the confidence that so many nights give, and not with a few', () => {
    expect(trendOf(tonight(9000), nights(30))?.confidence).toBeCloseTo(30 / 31);
    expect(trendOf(tonight(9000), nights(10))?.confidence).toBeCloseTo(10 / 11);
    expect(trendOf(tonight(9000), nights(9))?.tonight).toBe('unknown');
    expect(trendOf(tonight(null), nights(30))?.tonight).toBe('unknown');
    expect(trendOf(tonight(9000), [])).toBeUndefined();
  });

  test('is drawn from three nights on', () => {
    expect(chart('redis-primary-kill', nights(2))).toBeUndefined();
    expect(chart('redis-primary-kill', nights(3))).toContain(
      '    x-axis "drills from 2026-01-01 to 2026-01-03, the last is this one" ["1", "2", "3"]\n',
    );
    expect(chart('redis-primary-kill', nights(3))).toContain(
      '    bar [1400, 1401, 1402]\n    line [1450, 1451, 1452]\n',
    );
  });
});

describe('at GitHub', () => {
  let folder: string;
  let server: GithubApiServer;
  let github: Github;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'firedrill-history-'));
    const repository = { owner: 'acme', repo: 'shop' };
    const stateFile = join(folder, 'state.json');
    server = await startGithubApi({ host: '127.0.0.1', port: 0, token: 'token', repository, stateFile, log: () => {} });
    server.seedCommit({ sha: commit });
    github = githubApi({ baseUrl: server.url, repository: 'acme/shop', token: new Secret('token') });
  });
  afterEach(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  test('the history begins with the first night, and has each once', async () => {
    expect(await readHistory(github, 'lab')).toEqual([]);
    for (const each of [night(0), night(1), night(1)]) await appendNight(github, each, commit);
    expect(await readHistory(github, 'lab')).toEqual([night(0), night(1)]);
    expect(await readHistory(github, 'production')).toEqual([]);
  });

  test('many writers at the same time lose no night', async () => {
    const nights = Array.from({ length: 6 }, (_, index) => night(index));
    await Promise.all(nights.map((each) => appendNight(github, each, commit, 20)));
    expect(await readHistory(github, 'lab')).toEqual(nights);
  });

  test('a history of more than a megabyte, of which GitHub shows no content, stays whole', async () => {
    await appendNight(github, night(0), commit);
    const found = await github.readFile(historyBranch, 'lab.jsonl');
    const years = Array.from({ length: 9000 }, (_, index) => JSON.stringify({ ...night(0), run: `${index}.1` }));
    const text = `${years.join('\n')}\n`;
    expect(text.length).toBeGreaterThan(1_100_000);
    const write = { branch: historyBranch, path: 'lab.jsonl', text, message: 'x', replaces: found?.sha };
    expect(await github.writeFile(write)).toBe(true);
    await appendNight(github, night(1), commit);
    expect(await readHistory(github, 'lab')).toHaveLength(9001);
  });

  test('a write that names an old version changes nothing', async () => {
    await appendNight(github, night(0), commit);
    const write = { branch: historyBranch, path: 'lab.jsonl', text: 'x', message: 'x' };
    expect(await github.writeFile({ ...write, replaces: 'b'.repeat(40) })).toBe(false);
    expect(await github.writeFile({ ...write, replaces: undefined })).toBe(false);
    expect(await readHistory(github, 'lab')).toEqual([night(0)]);
  });

  test('a red drill labels the pull request, and a green one takes the label away', async () => {
    const number = server.seedMergedPullRequest({ sha: 'c'.repeat(40), title: 'x' });
    const post = async (ok: boolean) => {
      const body = `<!-- firedrill:report environment=lab -->\n${ok ? 'green' : 'red'}`;
      const url = await postComment(github, { environment: 'lab', ok }, 'c'.repeat(40), body);
      const headers = { authorization: 'Bearer token' };
      const ask = async (path: string) =>
        (await fetch(`${server.url}/repos/acme/shop/issues/${number}/${path}`, { headers })).json();
      const labels = (await ask('labels')) as { name: string }[];
      const comments = (await ask('comments')) as { body: string }[];
      return {
        url,
        labels: labels.map(({ name }) => name),
        comments: comments.map((each) => each.body.split('\n')[1]),
      };
    };
    const red = await post(false);
    expect(red).toMatchObject({ labels: [redLabel], comments: ['red'] });
    expect(await post(false)).toEqual(red);
    expect(await post(true)).toEqual({ url: red.url, labels: [], comments: ['green'] });
    expect(await post(true)).toMatchObject({ labels: [], comments: ['green'] });
  });
});

test('who is always overtaken says so', async () => {
  const store: HistoryStore = {
    readFile: async () => ({ text: '', sha: 'x' }),
    writeFile: async () => false,
    makeBranch: async () => {},
  };
  await expect(appendNight(store, night(0), commit, 1)).rejects.toThrow(
    /somebody else wrote lab.jsonl each of 8 times/,
  );
});
