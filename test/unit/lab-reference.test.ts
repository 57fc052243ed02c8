import { describe, expect, test } from 'vitest';
import type { RunReport } from '../../actions/drill/report/data.ts';
import type { KeptRun } from '../../actions/drill/runs/file.ts';
import type { Write } from '../lab/reference/client.ts';
import { comparison } from '../lab/reference/compare.ts';
import { backMs, type Compared, type ReferenceRun } from '../lab/reference/measure.ts';
import { redisConf, sentinelConf } from '../lab/reference/settings.ts';

/** A write every 10 ms from 0 to `until`; what is sent in the gap is answered at its end. */
function writes(until: number, gap: readonly [number, number] = [0, 0]): Write[] {
  return Array.from({ length: until / 10 }, (_, index) => {
    const at = index * 10;
    const endedAt = at >= gap[0] && at < gap[1] ? gap[1] : at + 1;
    return { key: `k${index}`, intendedAt: at, endedAt, acknowledged: true, error: undefined };
  });
}
const keys = (of: readonly Write[]): Set<string> => new Set(of.map((write) => write.key));

describe('the reference is back', () => {
  test('with the first write after the longest time without one', () => {
    const all = writes(12_000, [1000, 7400]);
    expect(backMs(all, keys(all), 1000, 12_000)).toBe(6400);
  });

  test('never, when the time without one lasts to the end', () => {
    const all = writes(1000);
    expect(backMs(all, keys(all), 1000, 41_000)).toBeNull();
  });

  test('not by writes that are acknowledged and lost', () => {
    const all = writes(12_000);
    expect(backMs(all, keys(all.slice(0, 100)), 1000, 12_000)).toBeNull();
    expect(backMs(all, keys(all.filter(({ endedAt }) => endedAt < 1000 || endedAt > 5000)), 1000, 12_000)).toBe(4001);
  });

  test('at once, when nobody noticed', () => {
    const all = writes(12_000);
    expect(backMs(all, keys(all), 1000, 12_000)).toBe(0);
  });
});

function ours(recoveryMs: number): KeptRun {
  const run = { recoveryMs, lostWrites: 0, ackedWrites: 2000 } as RunReport;
  const at = '2026-03-01T03:17:00.000Z';
  return { version: 1, at, environment: 'lab', commit: null, scenario: 'redis-primary-kill', budgetMs: 1200, run };
}

function theirs(scenario: Compared, back: number | null): ReferenceRun {
  const figures = { watchedMs: 40_000, writes: 4000, failed: 600, acknowledged: 3400, lost: 7 };
  return { version: 1, at: '2026-03-01T03:17:00.000Z', scenario, backMs: back, ...figures };
}

test('both stand side by side, and who did not come back has no number', () => {
  const hang = { ...ours(1500), scenario: 'redis-primary-hang' };
  const reference = [theirs('redis-primary-kill', 6600), theirs('redis-primary-hang', null)];
  const lines = comparison(['redis-primary-kill', 'redis-primary-hang'], [ours(700), ours(800), hang], reference);
  expect(lines.split('\n').slice(2)).toEqual([
    '| redis-primary-kill | 700 (800) ms | 0 of 4,000 | 2 | 6,600 (6,600) ms | 7 of 3,400 | 1 | 9.4 times |',
    '| redis-primary-hang | 1,500 (1,500) ms | 0 of 2,000 | 1 | not back within 40 s | 7 of 3,400 | 1 | more than 26.6 times |',
  ]);
});

test("the reference's settings are the document's", () => {
  const settings = { primary: '10.0.0.1', password: 'secret' };
  expect(sentinelConf(settings)).toContain(
    'down-after-milliseconds mymaster 5000\nsentinel parallel-syncs mymaster 1\nsentinel failover-timeout mymaster 10000',
  );
  expect(sentinelConf(settings)).toContain('sentinel monitor mymaster 10.0.0.1 16379 2');
  expect(redisConf('10.0.0.1', settings)).not.toContain('replicaof');
  expect(redisConf('10.0.0.2', settings)).toContain('repl-backlog-size 1mb');
  for (const ours of ['min-replicas', 'repl-diskless']) expect(redisConf('10.0.0.2', settings)).not.toContain(ours);
});
