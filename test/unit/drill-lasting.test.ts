import { describe, expect, test } from 'vitest';
import { nowMs } from '../../actions/drill/clock.ts';
import type { Fleet, FleetNode } from '../../actions/drill/fleet.ts';
import { heal, inject, longest, undoPlan } from '../../actions/drill/inject.ts';
import { observe } from '../../actions/drill/observe.ts';
import { type Fault, type Step, scenarios } from '../../actions/drill/scenarios/index.ts';
import { labEnvironment } from './environment-fixture.ts';

const environment = labEnvironment();
const ok = { code: 0, stdout: '', stderr: '' };
const silent: Fault = {
  inject: { script: 'net.sh', args: ['silent', '500'] },
  undo: { script: 'net.sh', args: ['heal'] },
  lastsMs: 500,
};

type Exec = FleetNode['ssh']['exec'];

/** The fleet, all of whose nodes run commands by `exec`, and what is armed on redis-1 for that step. */
function armed(exec: Exec, step: Fault) {
  const ssh = { node: 'any', exec, forward: () => Promise.reject(new Error('refused')) };
  const fleet = { environment, nodes: environment.nodes.map((node) => ({ ...node, ssh })) } as Pick<
    Fleet,
    'environment' | 'nodes'
  >;
  const steps: Step[] = [{ nodes: ['redis-1'], ...step }];
  const [one] = undoPlan(fleet, steps);
  if (one === undefined) throw new Error('nothing is armed');
  return { fleet: fleet as Fleet, armed: one };
}

describe('a fault that ends by itself', () => {
  test('is undone as soon as the node can be reached again, and no try waits long for a dead connection', async () => {
    const begun = nowMs();
    const timeouts: number[] = [];
    const exec: Exec = async (_command, { timeoutMs }) => {
      timeouts.push(timeoutMs);
      if (nowMs() - begun < 600) throw new Error('the ssh connection closed');
      return ok;
    };
    const { fleet, armed: one } = armed(exec, silent);
    expect(one.lastsMs).toBe(500);
    await heal(fleet, one);
    expect(nowMs() - begun).toBeGreaterThanOrEqual(600);
    expect(timeouts.length).toBeGreaterThan(1);
    expect(Math.max(...timeouts)).toBeLessThanOrEqual(10_000);
  });

  test('is the only one that is waited for: a node that can be reached all the time and is not says so at once', async () => {
    const { lastsMs: _, ...hang } = silent;
    const { fleet, armed: one } = armed(() => Promise.reject(new Error('no way')), hang);
    await expect(heal(fleet, one)).rejects.toThrow('no way');
  });

  test('was injected when the node says so, whether or not the end of its answer comes through', async () => {
    const exec: Exec = (_command, { onLine }) => {
      for (const line of ['now 1795397394875020184', 'done 1795397394915020184']) onLine?.(line);
      return new Promise(() => {});
    };
    const { armed: one } = armed(exec, silent);
    const before = nowMs();
    const { faultAt, uncertaintyMs } = await inject(one.node, silent);
    expect(faultAt).toBeGreaterThanOrEqual(before);
    expect(uncertaintyMs).toBeGreaterThanOrEqual(40);
  });

  test('lasts as long as the longest of a scenario', () => {
    const { steps } = scenarios['sentinels-paused-then-primary-kill'];
    const state = { primary: 'r', balancer: 'l', addresses: {} };
    const nodes = { redis: ['r'], sentinel: ['s'], app: ['a'], lb: ['l'], monitor: ['m'] };
    expect(longest(steps({ ...state, nodes }))).toBe(0); // its machine can be reached
    expect(longest([silent, { ...silent, lastsMs: 700 }])).toBe(700);
  });
});

describe('the time in which clients are looked at', () => {
  const drill = { ...environment.drill, observeMs: 100, warmupMs: 0, healAfterMs: 20_000 };
  const watched = async (lastsMs: number, agoMs: number, limits: Partial<typeof drill> = {}) => {
    const begun = nowMs();
    await observe({
      drill: { ...drill, ...limits },
      faultAt: begun - agoMs,
      lastsMs,
      history: [],
      observations: [],
      failovers: 0,
      untilCalm: false,
      alerted: () => true,
      signal: new AbortController().signal,
    });
    return nowMs() - begun + agoMs;
  };

  test('goes on after the end of a fault that ends by itself, for what that does to them', async () => {
    expect(await watched(700, 2400)).toBeGreaterThanOrEqual(2700);
  });

  test('is the usual one for a fault that does not', async () => {
    expect(await watched(0, 0)).toBeLessThan(1000);
  });

  test("ends in time for the healing to be ours, not the node's timer's", async () => {
    const healAfterMs = 10_300;
    expect(await watched(9000, 0, { healAfterMs })).toBeLessThan(1000);
  });
});
