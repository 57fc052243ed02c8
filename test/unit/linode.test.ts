import { describe, expect, it } from 'vitest';
import { parseEnvironment } from '../../actions/core/environment/load.ts';
import { LinodeError } from '../../actions/core/linode/errors.ts';
import { firewallLabelOf, labelOf, tagsOf } from '../../actions/core/linode/names.ts';
import { pace } from '../../actions/core/linode/pace.ts';
import { type RetryPolicy, withRetry } from '../../actions/core/linode/retry.ts';
import { applyFilter } from '../lab/linode-api/filter.ts';
import { labEnvironment } from './environment-fixture.ts';

const policy: RetryPolicy = { forMs: 500, pauseMs: 1, maxPauseMs: 5, unclearTries: 3 };
const failing = (...errors: LinodeError[]) => {
  let calls = 0;
  return {
    calls: () => calls,
    work: async () => {
      calls += 1;
      const error = errors.shift();
      if (error !== undefined) throw error;
      return 'done';
    },
  };
};
const busy = () => new LinodeError('boot', { status: 400, reasons: [{ reason: 'Linode busy.' }] });
const reset = () => new LinodeError('create', { reasons: [{ reason: 'socket hang up' }] });
const taken = () =>
  new LinodeError('create', {
    status: 400,
    reasons: [{ field: 'label', reason: 'Label must be unique among your linodes' }],
  });
const limit = () =>
  new LinodeError('create', {
    status: 400,
    reasons: [{ reason: 'Account Limit reached. Please open a support ticket.' }],
  });

describe('a retry', () => {
  it.each([
    ['a busy Linode', busy()],
    ['429', new LinodeError('list', { status: 429, reasons: [{ reason: 'Too many requests' }], retryAfterMs: 5 })],
    ['408', new LinodeError('list', { status: 408, reasons: [] })],
    ['503', new LinodeError('list', { status: 503, reasons: [] })],
    ['a broken connection', reset()],
  ])('follows %s', async (_, error) => {
    expect(await withRetry(failing(error).work, policy)).toBe('done');
  });

  it.each([
    ['an account limit', limit()],
    ['a wrong token', new LinodeError('list', { status: 401, reasons: [{ reason: 'Invalid Token' }] })],
    ['a bad request', taken()],
  ])('does not follow %s', async (_, error) => {
    const { work, calls } = failing(error);
    await expect(withRetry(work, policy)).rejects.toBe(error);
    expect(calls()).toBe(1);
  });

  it('waits as long as the server asks', async () => {
    const error = new LinodeError('list', { status: 429, reasons: [], retryAfterMs: 60 });
    const startedAt = performance.now();
    await withRetry(failing(error).work, policy);
    expect(performance.now() - startedAt).toBeGreaterThan(55);
  });

  it('ends when its time is up', async () => {
    const error = new LinodeError('list', { status: 429, reasons: [], retryAfterMs: 10_000 });
    await expect(withRetry(failing(error).work, policy)).rejects.toBe(error);
  });

  it('does not repeat what an unclear try already did', async () => {
    const { work, calls } = failing(reset());
    expect(await withRetry(work, policy, async () => 'found')).toBe('found');
    expect(calls()).toBe(1);
  });

  it('repeats when an unclear try had no effect', async () => {
    const { work, calls } = failing(reset());
    expect(await withRetry(work, policy, async () => undefined)).toBe('done');
    expect(calls()).toBe(2);
  });

  it('takes a label that is taken after an unclear try for that try', async () => {
    const found = [undefined, 'found'];
    expect(await withRetry(failing(reset(), taken()).work, policy, async () => found.shift())).toBe('found');
  });

  it('gives up a call that stays unclear', async () => {
    const { work, calls } = failing(...Array.from({ length: 9 }, reset));
    await expect(withRetry(work, policy)).rejects.toThrow('socket hang up');
    expect(calls()).toBe(4);
  });
});

it('a pace lets so many through at once and the next when the window is over', async () => {
  const slot = pace(3, 60);
  const startedAt = performance.now();
  const times = await Promise.all(
    Array.from({ length: 7 }, async () => {
      await slot();
      return Math.floor((performance.now() - startedAt + 2) / 60);
    }),
  );
  expect(times).toEqual([0, 0, 0, 1, 1, 1, 2]);
});

describe('a label', () => {
  const named = (name: string) => ({ ...labEnvironment(), name });

  it('is firedrill-ENVIRONMENT-NODE', () => {
    expect(labelOf(labEnvironment(), { name: 'redis-1' })).toBe('firedrill-lab-redis-1');
  });

  it.each(['a'.repeat(32), 'two--hyphens', `${'ab-'.repeat(10)}c`])(
    'fits what Linode takes, for environment %s',
    (name) => {
      const accepted = /^[a-zA-Z]((?!--|__|\.\.)[a-zA-Z0-9-_.])+$/;
      const labels = ['x'.repeat(32), 'app-1'].map((node) => labelOf(named(name), { name: node }));
      for (const label of labels) {
        expect(label).toMatch(accepted);
        expect(label.length).toBeLessThanOrEqual(64);
      }
      expect(firewallLabelOf(named(name))).toMatch(accepted);
      expect(firewallLabelOf(named(name)).length).toBeLessThanOrEqual(32);
      expect(new Set(labels).size).toBe(2);
    },
  );

  it('differs for environments that are alike', () => {
    expect(labelOf(named('a--b'), { name: 'x' })).not.toBe(labelOf(named('a-b'), { name: 'x' }));
  });
});

it('a node of several roles has a tag for each', () => {
  const text = labEnvironment.text.replace('name: redis-2, roles: [redis]', 'name: redis-2, roles: [redis, sentinel]');
  const environment = parseEnvironment(text, 'environments/lab.yaml');
  const node = environment.nodes[1];
  expect(node && tagsOf(environment, node)).toEqual([
    'firedrill',
    'env:lab',
    'node:redis-2',
    'role:redis',
    'role:sentinel',
  ]);
});

describe('an X-Filter', () => {
  const items = [
    { id: 1, label: 'one', tags: ['env:lab'], entity: { id: 5 } },
    { id: 2, label: 'two', tags: ['env:lab', 'x'], entity: { id: 6 } },
    { id: 3, label: 'three', tags: [], entity: { id: 5 } },
  ];
  const ids = (filter: unknown) => applyFilter(items, JSON.stringify(filter), () => true).map((item) => item.id);

  it.each([
    [{ label: 'two' }, [2]],
    [{ tags: 'env:lab' }, [1, 2]],
    [{ 'entity.id': 5 }, [1, 3]],
    [{ label: { '+contains': 'T' } }, [2, 3]],
    [{ id: { '+gte': 2 } }, [2, 3]],
    [{ '+or': [{ id: 1 }, { id: 3 }] }, [1, 3]],
    [{ '+and': [{ tags: 'env:lab' }, { id: { '+neq': 1 } }] }, [2]],
    [{ '+order_by': 'id', '+order': 'desc' }, [3, 2, 1]],
  ])('%j gives %j', (filter, wanted) => {
    expect(ids(filter)).toEqual(wanted);
  });

  it('refuses what Linode refuses', () => {
    expect(() => ids({ id: { '+like': 1 } })).toThrow(/operator/);
    expect(() => applyFilter(items, '{', () => true)).toThrow(/JSON/);
    expect(() => applyFilter(items, '{"status":"running"}', (name) => name !== 'status')).toThrow(
      /Cannot filter on status/,
    );
  });
});
