import { describe, expect, test } from 'vitest';
import type { Operation } from '../../actions/core/history/operation.ts';
import { operationOf, type Request } from '../../actions/drill/probe/history.ts';
import { changedKeys } from '../../actions/drill/read-back.ts';
import type { Scenario } from '../../actions/drill/scenarios/scenario.ts';
import type { Phases } from '../../actions/drill/timeline.ts';
import { recoveryOf } from '../../actions/drill/verdict/recovery.ts';
import { stallThresholdMs } from '../../actions/drill/verdict/slow.ts';
import { judge, type Recording } from '../../actions/drill/verdict/verdict.ts';

let ids = 0;

/** A request that was sent when it was due. */
function request(op: Request['op'], key: string, value: string | null, from: number, to: number, rest = {}): Request {
  ids += 1;
  const base = { id: ids, process: ids, op, key, value, etag: null, primary: null, requestId: '' };
  const times = { intendedAt: from, sentAt: from, endedAt: to };
  return { ...base, ...times, outcome: 'ok', status: op === 'write' ? 204 : 200, ...rest };
}
const write = (key: string, value: string, from: number, to: number, rest = {}) =>
  request('write', key, value, from, to, rest);
const read = (key: string, value: string | null, from: number, to: number) => request('read', key, value, from, to);
const unknown = { outcome: 'unknown', status: 0, error: 'deadline' } as const;
const refused = { outcome: 'refused', status: 503 } as const;

/** 100 requests a second, 2 ms each, before the fault at 1000 and after; what waits until `back` is answered then. */
function stalled(fault: number, back: number, until: number): Request[] {
  return Array.from({ length: until / 10 }, (_, index) => {
    const at = index * 10;
    const end = at >= fault && at < back ? back + 1 : at + 2;
    return write(`k${at}`, `v${at}`, at, end);
  });
}

describe('recovery', () => {
  test('without a failed request ends with the first success after the stall', () => {
    const { recoveryMs, stalledMs, firstWriteMs } = recoveryOf(stalled(1000, 2400, 5000), 1000);
    expect(recoveryMs).toBe(1401);
    expect(stalledMs).toBe(1401);
    expect(firstWriteMs).toBe(1401);
  });

  test('is zero when nobody noticed', () => {
    const lone = { requests: 0, longestMs: 0 };
    const unnoticed = { recoveryMs: 0, stalledMs: 2, countedMs: 2, lone, firstWriteMs: null };
    expect(recoveryOf(stalled(0, 0, 5000), 1000)).toEqual(unnoticed);
  });

  test('is not measured, and not zero, when nobody asked after the fault', () => {
    expect(recoveryOf(stalled(0, 0, 1000), 1000).recoveryMs).toBeNull();
    expect(recoveryOf([], 1000).recoveryMs).toBeNull();
  });

  test('has no first write when the others went on: one unknown write is no interruption of writes', () => {
    const history = [...stalled(0, 0, 5000), write('x', 'x', 1000, 1030, unknown)];
    expect(recoveryOf(history, 1000)).toMatchObject({ recoveryMs: 30, firstWriteMs: null });
  });

  test('ends with the last request that failed', () => {
    const history = [...stalled(1000, 1400, 5000), write('x', 'x', 1100, 3100, refused)];
    expect(recoveryOf(history, 1000).recoveryMs).toBe(2100);
  });

  test('ends with the last request that overran its deadline', () => {
    const history = [...stalled(1000, 1400, 8000), write('x', 'x', 1000, 6000, unknown)];
    expect(recoveryOf(history, 1000)).toMatchObject({ recoveryMs: 5000, stalledMs: 5000 });
  });

  test('counts the last of several stalls', () => {
    const history = [
      ...stalled(1000, 1600, 1700),
      ...stalled(1700, 2500, 6000).filter((each) => each.intendedAt >= 1700),
    ];
    expect(recoveryOf(history, 1000).recoveryMs).toBe(1501);
  });

  test('counts a stall of the reads alone', () => {
    const reads = Array.from({ length: 100 }, (_, index) => read('r', null, 1000 + index * 10, 2500));
    expect(recoveryOf([...stalled(0, 0, 5000), ...reads], 1000).recoveryMs).toBe(1500);
  });

  test('does not count what failed before the fault, nor what was sent while healing', () => {
    const history = [
      write('a', 'a', 100, 110, refused),
      ...stalled(1000, 2000, 9000),
      write('b', 'b', 8000, 8010, refused),
    ];
    expect(recoveryOf(history, 1000, { until: 7900 }).recoveryMs).toBe(1001);
  });

  test('takes what the probe itself was late by for no stall, and a stall beside it for one', () => {
    const late = Array.from({ length: 9 }, (_, index) =>
      request('read', 'r', null, 3000 + index * 10, 3150, { sentAt: 3085 }),
    );
    expect(recoveryOf([...stalled(0, 0, 5000), ...late], 1000)).toMatchObject({
      recoveryMs: 0,
      stalledMs: 150,
      countedMs: 100,
    });
    expect(recoveryOf([...stalled(1000, 1400, 5000), ...late], 1000).recoveryMs).toBe(401);
    const longer = late.map((each) => ({ ...each, endedAt: 3250 }));
    expect(recoveryOf([...stalled(0, 0, 5000), ...longer], 1000).recoveryMs).toBe(2250);
  });

  test('takes no hiccup of a busy machine for a stall', () => {
    const before = [write('a', 'a', 0, 2), write('b', 'b', 10, 70)];
    expect(stallThresholdMs(before)).toBe(180);
    expect(stallThresholdMs([])).toBe(100);
  });
});

const noFailover: Phases = {
  detectedMs: null,
  agreedMs: null,
  electedMs: null,
  promotedMs: null,
  announcedMs: null,
  resyncedMs: null,
  newPrimary: null,
  failovers: 0,
};
const failedOver: Phases = { ...noFailover, detectedMs: 1005, promotedMs: 1300, announcedMs: 2100, failovers: 1 };

/** A read of the key after the end. */
function finalRead(key: string, value: string | null, at = 20_000): Operation {
  return operationOf(request('read', key, value, at, at + 1, { status: value === null ? 404 : 200 }));
}

const failover = { id: 'failover', name: 'FailoverHappened', severity: 'info', at: 6000, overAt: null };

function recording(history: Request[], rest: Partial<Recording> = {}): Recording {
  const whole = new Map(history.filter((each) => each.op === 'write').map((each) => [each.key, each.value]));
  const final = { reads: [...whole].map(([key, value]) => finalRead(key, value)) };
  const alerts = { rules: new Set(['FailoverHappened']), fired: [failover] };
  const base = { toldAt: 950, faultAt: 1000, healAt: 9000, phases: failedOver, final, alerts };
  return { ...base, history, ...rest };
}

const failoverExpected = { failovers: 1, recovery: 'fault', mayFail: 2, alert: 'FailoverHappened' } as const;

describe('the verdict', () => {
  test('is ok within the budget, with nothing lost and the failover done', () => {
    const verdict = judge(failoverExpected, 2000, recording(stalled(1000, 2400, 5000)));
    expect(verdict).toMatchObject({ ok: true, reasons: [], requests: 500, failedRequests: 0, ackedWrites: 500 });
  });

  test('is red over the budget, and says by how much', () => {
    const verdict = judge(failoverExpected, 1200, recording(stalled(1000, 2400, 5000)));
    expect(verdict.ok).toBe(false);
    expect(verdict.reasons).toEqual(['recovery took 1,401 ms, the budget is 1,200 ms']);
  });

  test('counts a write once that is gone both through the load balancer and at the primary', () => {
    const history = stalled(1000, 1100, 3000);
    const gone = history.map((each) => finalRead(each.key, each.intendedAt < 500 ? null : each.value));
    const verdict = judge(failoverExpected, 2000, recording(history, { final: { reads: [...gone, ...gone] } }));
    expect(verdict.lostWrites).toBe(50);
    expect(verdict.reasons).toEqual(['50 acknowledged writes lost']);
  });

  test('finds a write that only the primary has lost', () => {
    const history = stalled(1000, 1100, 3000);
    const reads = [finalRead('k500', 'v500'), finalRead('k500', null, 21_000)];
    expect(judge(failoverExpected, 2000, recording(history, { final: { reads } })).lostWrites).toBe(1);
  });

  const verdictOf = (...history: Request[]) => judge({ ...failoverExpected, mayFail: 9 }, 9000, recording(history));

  test('tells an older value that came back from a write that was applied twice', () => {
    const overwritten = verdictOf(
      write('k', 'a', 0, 1),
      write('k', 'b', 2, 3),
      read('k', 'b', 4, 5),
      read('k', 'a', 30_000, 30_001),
    );
    expect(overwritten).toMatchObject({ lostWrites: 1, ok: false });
    const rivals = [write('k', 'b', 2, 3, { expected: 'a' }), write('k', 'c', 4, 5, { expected: 'a' })];
    expect(verdictOf(write('k', 'a', 0, 1), ...rivals).reasons.join()).toMatch(/1 write applied twice/);
  });

  test('finds two primaries that acknowledge at the same time, and says how many there were', () => {
    const old = stalled(0, 0, 3000).map((each) => ({ ...each, primary: 'a' }));
    const fresh = [write('x', 'x', 3010, 3020, { primary: 'b' }), write('y', 'y', 3030, 3040, { primary: 'b' })];
    expect(verdictOf(...old, ...fresh)).toMatchObject({ ok: true, primaries: 2 });
    const both = verdictOf(...old, ...fresh, write('z', 'z', 3035, 3050, { primary: 'a' }));
    expect(both).toMatchObject({ ok: false, lostWrites: 0 });
    expect(both.reasons).toEqual(['two primaries acknowledged writes at the same time']);
    expect(verdictOf(...stalled(0, 0, 3000)).primaries).toBeNull();
  });

  test('finds a value that nobody wrote', () => {
    expect(verdictOf(write('k', 'a', 0, 1), read('k', 'zzz', 2, 3)).reasons).toContain(
      '1 value that nobody wrote, or that was refused',
    );
  });

  test('reports a stale read apart: reads are no part of the promise', () => {
    const { ok, staleReads, violations } = verdictOf(
      ...stalled(0, 0, 3000),
      write('k', 'a', 0, 1),
      write('k', 'b', 2, 3),
      read('k', 'a', 4, 5),
    );
    expect([ok, staleReads, violations[0]?.kind]).toEqual([true, 1, 'stale']);
  });

  test('takes a refusal and a time-out for writes that may have been applied, and may not', () => {
    const history = [
      ...stalled(0, 0, 3000),
      write('r', 'r', 1000, 1100, refused),
      write('u', 'u', 1000, 1100, unknown),
    ];
    expect(changedKeys(history)).toContain('r');
    for (const value of ['r', null]) {
      const reads = [finalRead('r', value), finalRead('u', value === null ? null : 'u')];
      expect(judge(failoverExpected, 2000, recording(history, { final: { reads } })).reasons).toEqual([]);
    }
  });

  test('counts the requests that failed because of the fault against those that may', () => {
    const history = [...stalled(0, 0, 3000), ...[1, 2, 3].map((at) => write(`f${at}`, `f${at}`, 1100, 1200, refused))];
    expect(judge(failoverExpected, 2000, recording(history)).reasons).toEqual(['3 requests failed, at most 2 may']);
    expect(judge({ ...failoverExpected, mayFail: 3 }, 2000, recording(history)).ok).toBe(true);
  });

  test('excuses what was in the hands of the only one that clients knew, and nothing that came later', () => {
    const scenario = { ...failoverExpected, mayFail: { dueWithinMs: 400 } };
    const failing = (...due: number[]) =>
      judge(
        scenario,
        9000,
        recording([...stalled(0, 0, 3000), ...due.map((at) => write(`f${at}`, `f${at}`, at, at + 60, refused))]),
      );
    // One was sent before the fault and failed with it.
    expect(failing(945, 1000, 1200, 1399)).toMatchObject({ ok: true, failedRequests: 4 });
    expect(failing(1200, 1401).reasons).toEqual([
      '1 request failed that came 400 ms after the fault or later, and none of those may',
    ]);
    expect(failing(700).reasons.join()).toContain('1 request failed before the fault');
  });

  test('counts from the end of the fault where nobody can serve before', () => {
    const outage = Array.from({ length: 80 }, (_, index) =>
      write(`o${index}`, `o${index}`, 1000 + index * 100, 5000 + index * 60, refused),
    );
    const history = [
      ...stalled(0, 0, 1000),
      ...outage,
      ...[9000, 9010, 9020, 9030].map((at) => write(`after${at}`, 'after', at, 9800)),
      write('later', 'later', 10_000, 10_002),
    ];
    const scenario = { ...failoverExpected, recovery: 'return', mayFail: Number.POSITIVE_INFINITY } as const;
    const verdict = judge(scenario, 2000, recording(history));
    expect(verdict).toMatchObject({ ok: true, recoveryMs: 800 });
    expect(judge(scenario, 700, recording(history)).reasons.join()).toContain(
      'after the end of the fault recovery took 800 ms',
    );
  });

  test('holds the longest stall against the budget where nothing goes away', () => {
    const scenario = { failovers: 0, recovery: 'stall', mayFail: 0, alert: null } as const;
    const verdict = judge(scenario, 300, recording(stalled(1000, 1350, 3000), { phases: noFailover }));
    expect(verdict).toMatchObject({ recoveryMs: 351, reasons: ['an answer took 351 ms, the budget is 300 ms'] });
  });

  test('asks for the alert that somebody has to get, and for none where nobody needs to wake up', () => {
    const history = stalled(1000, 1100, 3000);
    const rules = new Set(['FailoverHappened', 'TwoPrimaries']);
    const reasons = (alert: string | null, ...fired: (typeof failover)[]) =>
      judge({ ...failoverExpected, alert }, 2000, recording(history, { alerts: { rules, fired } })).reasons;
    const critical = { id: 'two', name: 'TwoPrimaries', severity: 'critical', at: 2000, overAt: null };
    expect(reasons('FailoverHappened', failover)).toEqual([]);
    expect(reasons('FailoverHappened')).toEqual(['the alert FailoverHappened did not fire']);
    expect(reasons('Unheard', failover)).toEqual(['Prometheus has no rule Unheard, which has to fire']);
    expect(reasons(null, failover)).toEqual([]);
    expect(reasons(null, critical)).toEqual(['an alert fired, and none may: TwoPrimaries']);
    for (const fired of [[], [failover], [critical]]) expect(reasons('any', ...fired)).toEqual([]);
    expect(judge(failoverExpected, 2000, recording(history)).alert).toEqual({
      name: 'FailoverHappened',
      firedMs: 5000,
      overMs: null,
    });
    const over = { rules, fired: [{ ...failover, overAt: failover.at + 700 }] };
    expect(judge(failoverExpected, 2000, recording(history, { alerts: over })).alert?.overMs).toBe(5700);
    const unheard = { rules: undefined, unheard: 'the Prometheus of monitor-1: timeout', fired: [] };
    expect(judge({ ...failoverExpected, alert: null }, 2000, recording(history, { alerts: unheard })).reasons).toEqual([
      'whether an alert fired is unknown: the Prometheus of monitor-1: timeout',
    ]);
    for (const rules of [undefined, new Set<string>()])
      expect(judge(failoverExpected, 2000, recording(history, { alerts: { rules, fired: [] } })).ok).toBe(true);
  });

  test('wants every failover that the scenario is about', () => {
    const twice = { ...failoverExpected, failovers: 2 } as const;
    const history = stalled(1000, 1100, 3000);
    expect(judge(twice, 2000, recording(history)).reasons).toEqual(['1 failover happened, 2 were expected']);
    expect(judge(twice, 2000, recording(history, { phases: { ...failedOver, failovers: 2 } })).ok).toBe(true);
    for (const failovers of ['any', 'at most 1'] as const)
      expect(judge({ ...failoverExpected, failovers }, 2000, recording(history)).ok).toBe(true);
    const again = recording(history, { phases: { ...failedOver, failovers: 2 } });
    expect(judge({ ...failoverExpected, failovers: 'at most 1' }, 2000, again).reasons).toEqual([
      '2 failovers happened, at most 1 was expected',
    ]);
  });

  test('is red when nothing could be read back, and keeps what was measured', () => {
    const history = stalled(1000, 1200, 3000);
    const verdict = judge(failoverExpected, 2000, recording(history, { final: { unread: 'no answer' } }));
    expect(verdict).toMatchObject({ ok: false, recoveryMs: 201 });
    expect(verdict.reasons.join()).toContain('could not be read back: no answer');
  });

  test('asks for the failover that the scenario expects, and for none that it forbids', () => {
    const history = stalled(1000, 1200, 3000);
    const without = judge(failoverExpected, 2000, recording(history, { phases: noFailover }));
    expect(without.reasons).toEqual(['no failover happened, but one was expected']);
    const unnoticed = judge(failoverExpected, 2000, recording(stalled(0, 0, 3000), { phases: noFailover }));
    expect([without.recoveryMs, unnoticed.recoveryMs]).toEqual([201, null]);
    const unwanted = judge({ ...failoverExpected, failovers: 0 }, 2000, recording(history));
    expect(unwanted.reasons).toEqual(['a failover happened that nothing called for']);
  });

  test('takes a failure between the order to break and the estimated fault for the fault’s', () => {
    const history = stalled(1000, 2400, 5000).map((each, index) =>
      index === 98 ? { ...each, ...refused, endedAt: 990 } : each,
    );
    expect(judge(failoverExpected, 2000, recording(history)).reasons).toEqual([]);
    expect(judge(failoverExpected, 2000, recording(history, { toldAt: 995 })).reasons[0]).toContain(
      '(the last 5 ms before)',
    );
  });

  test('tells failures before the fault and while healing from the recovery', () => {
    const history = [
      write('a', 'a', 100, 110, refused),
      ...stalled(1000, 1200, 9500),
      write('b', 'b', 9100, 9110, refused),
    ];
    const { reasons, failedRequests } = judge(failoverExpected, 2000, recording(history));
    expect(failedRequests).toBe(2);
    expect(reasons).toHaveLength(2);
    expect(reasons[0]).toContain('1 request failed before the fault');
    expect(reasons[1]).toContain('1 request failed while the fault was being undone');
  });

  test('says that nothing was measured when the probe itself was late', () => {
    const late = stalled(1000, 1200, 3000).map((each) => ({
      ...each,
      sentAt: each.intendedAt + 120,
      endedAt: each.endedAt + 120,
    }));
    const cases: [Request[], string][] = [
      [late, 'was not measured'],
      [[], 'nothing was measured'],
      [stalled(0, 0, 1000), 'no request while it mattered'],
    ];
    for (const [history, why] of cases) {
      const verdict = judge(failoverExpected, 2000, recording(history));
      expect(verdict).toMatchObject({ ok: false, recoveryMs: null });
      expect(verdict.reasons.join()).toContain(why);
    }
  });
});

test('a failover more than the scenario is about is a false one', () => {
  const history = stalled(1000, 1100, 3000);
  const seen = (failovers: Scenario['failovers'], phases: Phases) =>
    judge({ ...failoverExpected, failovers }, 2000, recording(history, { phases })).falseFailovers;
  expect([seen(1, failedOver), seen(0, failedOver), seen(0, noFailover), seen(2, failedOver)]).toEqual([0, 1, 0, 0]);
  expect(seen(1, { ...failedOver, failovers: 3 })).toBe(2);
  expect([seen('any', failedOver), seen('at most 1', noFailover), seen('at most 1', failedOver)]).toEqual([0, 0, 0]);
  expect(seen('at most 1', { ...failedOver, failovers: 2 })).toBe(1);
});
