import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Load } from '../bench/app/cell.ts';
import { busyNs, type CpuReading, othersShare, usedNs } from '../bench/app/cpu.ts';
import { privateBytes } from '../bench/app/idle.ts';
import { pipelineOf } from '../bench/app/plain.ts';
import { noisy, type Round } from '../bench/app/rounds.ts';
import { rowsOf } from '../bench/app/rows.ts';
import { parseWrk } from '../bench/app/wrk.ts';
import { rowOf, tableOf, writeReport } from '../bench/report.ts';
import { median } from '../bench/statistics.ts';

describe('a median', () => {
  test('is the middle, or the mean of the two in the middle, and leaves its input alone', () => {
    const values = [30, 4, 100];
    expect([median(values), median([4, 1, 3, 2])]).toEqual([30, 2.5]);
    expect(values).toEqual([30, 4, 100]);
  });

  test.each([[[]], [[1, Number.NaN]]])('of %j is refused: no figure is made up', (values) => {
    expect(() => median(values)).toThrow();
  });
});

describe('what wrk printed', () => {
  const said = (failed: number, requests = 3000): string =>
    [
      'Running 2s test @ http://127.0.0.1:1/',
      `result {"requests": ${requests}, "us": 2000000, "p50Us": 350, "p99Us": 900, "failed": ${failed}}`,
      '0m0.00s 0m0.01s',
      '1m0.50s 0m1.25s',
      '',
    ].join('\n');

  test('gives the counts, and the time on a processor of wrk, not of the shell', () => {
    expect(parseWrk(said(0), 'url')).toEqual({ requests: 3000, seconds: 2, p50Us: 350, p99Us: 900, cpuNs: 61.75e9 });
  });

  test.each([
    ['a request failed', said(1), /1 of 3000 requests failed/],
    ['nothing was answered', said(0, 0), /0 of 0/],
    ['it ended early', 'unable to connect', /gave no result/],
  ])('is no figure when %s', (_, output, message) => {
    expect(() => parseWrk(output, 'url')).toThrow(message);
  });
});

describe('the time on processors', () => {
  const reading = (machine: number, ours: Record<number, number>): CpuReading => ({
    machine,
    ours: new Map(Object.entries(ours).map(([pid, time]) => [Number(pid), time])),
  });

  test('of a machine is all but idle and waiting, with what the hypervisor took', () => {
    expect(busyNs('cpu  1 2 3 1000 500 4 5 6 7 8\ncpu0 1 1 1 1 1 1 1 1 0 0\n')).toBe(21e7);
  });

  test('of a process that was there all the time is a difference, of any other none', () => {
    const before = reading(0, { 1: 10 });
    expect(usedNs(before, reading(0, { 1: 25 }), 1)).toBe(15);
    expect(() => usedNs(before, reading(0, { 2: 25 }), 1)).toThrow(/process 1 ended/);
    expect(() => usedNs(before, reading(0, { 1: 1, 2: 25 }), 2)).toThrow(/process 2/);
  });

  test('of others is what neither living nor ended processes of ours account for', () => {
    const before = reading(1000, { 1: 100 });
    expect(othersShare(before, reading(2000, { 1: 400, 2: 50 }), 150, 1000)).toBe(0.5);
    expect(othersShare(before, reading(1010, { 1: 400 }), 0, 1000)).toBe(0);
  });
});

test('private memory is clean and dirty, not what others share', () => {
  const smaps = 'Rss: 900 kB\nShared_Clean: 300 kB\nPrivate_Clean:        4 kB\nPrivate_Dirty:       16 kB\n';
  expect(privateBytes(smaps)).toBe(20 * 1024);
  expect(() => privateBytes('')).toThrow(/no private memory/);
});

test('the plain SET is pipelined as the service pipelines, at least one at a time', () => {
  expect([pipelineOf(1600, 100), pipelineOf(100, 300)]).toEqual([16, 1]);
});

describe('a row', () => {
  const base = { metric: 'm', unit: 'us', ours: 6, peer: 'webdis', peerValue: 10 };

  test.each([
    ['at most: below', { ...base, atMost: 0.65 }, true],
    ['at most: above', { ...base, atMost: 0.5 }, false],
    ['at least: above', { ...base, atLeast: 0.5 }, true],
    ['at least: below', { ...base, atLeast: 0.9 }, false],
    ['at least: below, at the cap', { ...base, atLeast: 0.9, orElse: true }, true],
    ['no goal', base, null],
  ])('%s', (_, comparison, met) => {
    expect(rowOf(comparison)).toMatchObject({ ratio: 0.6, met });
  });

  test('without a peer has no ratio', () => {
    expect(rowOf({ metric: 'm', unit: 'lines', ours: 6 })).toMatchObject({
      peer: null,
      ratio: null,
      goal: null,
      met: null,
    });
  });

  test('without a peer is held to its goal by the figure itself', () => {
    const row = { metric: 'm', unit: 'ms', ours: 6 };
    expect(rowOf({ ...row, atMost: 6 })).toMatchObject({ ratio: null, goal: 6, met: true });
    expect(rowOf({ ...row, atMost: 5 }).met).toBe(false);
  });

  test('beside a peer whose figure is 0 has no ratio', () => {
    expect(rowOf({ metric: 'm', unit: 's', ours: 6, peer: 'Ansible', peerValue: 0 }).ratio).toBeNull();
  });

  test('is written without what only a reader needs, and shown with it', () => {
    const rows = [rowOf({ ...base, atMost: 0.5, note: 'as seen' })];
    const folder = mkdtempSync(join(tmpdir(), 'bench-'));
    try {
      const report = { name: 'app', commit: 'abc', startedAt: '2025-01-01T00:00:00.000Z', rows };
      writeReport(join(folder, 'out/bench-app.json'), report);
      const written = JSON.parse(readFileSync(join(folder, 'out/bench-app.json'), 'utf8'));
      expect(written).toEqual({ ...report, rows: [{ ...base, ratio: 0.6, goal: 0.5, met: false }] });
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(tableOf(rows)).toMatch(/0\.60 +<= 0\.5 +NOT MET; as seen\n0 of 1 goals met$/);
  });
});

describe('the rows of the C service', () => {
  const load = (values: Partial<Load>): Load => ({
    ...{ requests: 1000, requestsPerS: 100_000, p50Us: 400, p99Us: 900, cpuUs: 7, redisUs: 1.5, wrkUs: 6 },
    ...{ generatorShare: 0.8, othersShare: 0 },
    ...values,
  });
  const webdis = load({ requestsPerS: 80_000, p50Us: 800, p99Us: 1000, cpuUs: 12 });
  const round = (ours: Partial<Load>): Round => ({
    loads: {
      nginx: load({ cpuUs: 6.5, requestsPerS: 140_000 }),
      ...{ healthz: load({ requestsPerS: 130_000 }), webdisGet: webdis, webdisSet: webdis, get: load(ours) },
      ...{ set: load(ours), asyncSet: load({}), replicatedSet: load({ requestsPerS: 50_000 }) },
    },
    ...{ plainSetUs: 1, plainGetUs: 1, pipeline: 16, idle: 800, idleWebdis: 600 },
  });
  const rows = (ours: Partial<Load>[]) =>
    rowsOf({
      rounds: ours.map(round),
      starts: { ours: 2, webdis: 4, nginx: 6 },
      sizes: { binaryBytes: 80_000, codeLines: 2501, headerLines: 300 },
    });
  const row = (metric: string, peer: string | null, ours: Partial<Load>[]) =>
    rows(ours).find((each) => each.metric === metric && each.peer === peer);

  test('are medians, so that one bad round decides nothing', () => {
    const cpu = row('GET CPU a request', 'webdis', [{ cpuUs: 7 }, { cpuUs: 90 }, { cpuUs: 6 }]);
    expect(cpu).toMatchObject({ ours: 7, peerValue: 12, goal: 0.65, met: true });
  });

  test('count a rate as good when it is the load that can go no faster, and only then', () => {
    expect(row('SET rate', 'webdis', [{ generatorShare: 0.8 }])).toMatchObject({ ratio: 1.25, goal: 1.4, met: false });
    const capped = row('SET rate', 'webdis', [{ generatorShare: 0.99 }]);
    const note = 'wrk takes 6.00 us a request, its processor is 99 % busy: the cap; Redis takes 1.50 us';
    expect(capped).toMatchObject({ met: true, note });
  });

  test('say what rate the processor of the service and Redis has for plain SETs', () => {
    const bound = row('SET rate that it could have, without the guard', 'webdis', [{ cpuUs: 7 }]);
    expect(bound).toMatchObject({ ours: 125_000, peerValue: 80_000, goal: null });
  });

  test('hold fixed limits as a ratio to the budget', () => {
    expect(row('own code, .c files', 'budget', [{}])).toMatchObject({
      ours: 2501,
      peerValue: 2500,
      goal: 1,
      met: false,
    });
    expect(row('replicated SET rate', 'async', [{}])).toMatchObject({ ratio: 0.5, goal: 0.6, met: false });
  });

  test('come with the rounds in which the machine did other work', () => {
    const quiet = round({});
    expect(noisy([quiet, round({ othersShare: 0.5 })])).toEqual(['round 2 get: 0.50', 'round 2 set: 0.50']);
  });
});
