import { describe, expect, test } from 'vitest';
import type { Request } from '../../actions/drill/probe/history.ts';
import type { Phases } from '../../actions/drill/timeline.ts';
import { acknowledgedKeys, lostWrites, staleReads } from '../../actions/drill/verdict/ledger.ts';
import { recoveryOf, stallThresholdMs } from '../../actions/drill/verdict/recovery.ts';
import { judge, type Recording } from '../../actions/drill/verdict/verdict.ts';

let ids = 0;

/** A request that was sent when it was due. */
function request(op: Request['op'], key: string, value: string | null, from: number, to: number, rest = {}): Request {
  ids += 1;
  const base = { id: ids, op, key, value, intendedAt: from, sentAt: from, endedAt: to };
  return { ...base, outcome: 'ok', status: op === 'write' ? 204 : 200, ...rest };
}
const write = (key: string, value: string, from: number, to: number, rest = {}) =>
  request('write', key, value, from, to, rest);
const read = (key: string, value: string | null, from: number, to: number) => request('read', key, value, from, to);
const unknown = { outcome: 'unknown', status: 0, error: 'deadline' } as const;
const refused = { outcome: 'refused', status: 503 } as const;

const lostOf = (history: Request[], final: Record<string, string | null>) =>
  lostWrites(history, new Map(Object.entries(final))).map((anomaly) => anomaly.request.value);

describe('a lost write', () => {
  test('is an acknowledged one that is gone', () => {
    expect(lostOf([write('k', 'a', 0, 5)], { k: null })).toEqual(['a']);
    expect(lostOf([write('k', 'a', 0, 5)], { k: 'a' })).toEqual([]);
  });

  test('is every acknowledged one after the value that reappeared', () => {
    const history = [write('k', 'a', 0, 5), write('k', 'b', 10, 15), write('k', 'c', 20, 25)];
    expect(lostOf(history, { k: 'a' })).toEqual(['b', 'c']);
    expect(lostOf(history, { k: 'b' })).toEqual(['c']);
    expect(lostOf(history, { k: 'c' })).toEqual([]);
  });

  test('is not one that was overwritten by a later acknowledged one', () => {
    expect(lostOf([write('k', 'a', 0, 5), write('k', 'b', 10, 15)], { k: 'b' })).toEqual([]);
  });

  test('is not one that was overwritten by a later write with an unknown end', () => {
    expect(lostOf([write('k', 'a', 0, 5), write('k', 'b', 10, 5010, unknown)], { k: 'b' })).toEqual([]);
  });

  test('is not one that an unknown write, sent before, may have overwritten late', () => {
    expect(lostOf([write('k', 'u', 0, 5000, unknown), write('k', 'a', 100, 110)], { k: 'u' })).toEqual([]);
  });

  test('is one that an unknown write replaced which had been seen before: it reappeared', () => {
    const history = [write('k', 'u', 0, 5000, unknown), read('k', 'u', 20, 30), write('k', 'a', 100, 110)];
    expect(lostOf(history, { k: 'u' })).toEqual(['a']);
  });

  test('is not one of two that were under way at the same time: either may be the last', () => {
    const history = [write('k', 'a', 0, 20), write('k', 'b', 10, 30)];
    expect(lostOf(history, { k: 'a' })).toEqual([]);
    expect(lostOf(history, { k: 'b' })).toEqual([]);
  });

  test('is not a time-out, nor a refusal', () => {
    const history = [write('k', 'u', 0, 5000, unknown), write('k', 'r', 0, 4000, refused)];
    expect(lostOf(history, { k: null })).toEqual([]);
    expect(acknowledgedKeys(history)).toEqual([]);
  });

  test('may hide behind a value that nobody wrote', () => {
    expect(lostOf([write('k', 'a', 0, 5)], { k: 'zzz' })).toEqual(['a']);
  });
});

describe('a stale read', () => {
  test('does not show what was acknowledged before it was sent', () => {
    const history = [write('k', 'a', 0, 5), write('k', 'b', 10, 15), read('k', 'a', 20, 25), read('k', null, 30, 35)];
    expect(staleReads(history)).toHaveLength(2);
  });

  test('is not one that was under way together with the write', () => {
    const history = [write('k', 'a', 0, 5), write('k', 'b', 10, 30), read('k', 'a', 20, 25), read('k', 'b', 20, 25)];
    expect(staleReads(history)).toEqual([]);
  });

  test('may come after an unknown write took effect', () => {
    const history = [write('k', 'u', 0, 100, unknown), write('k', 'a', 10, 15), read('k', 'u', 50, 60)];
    expect(staleReads(history)).toEqual([]);
  });

  test('shows a value again that an acknowledged write had replaced', () => {
    const history = [
      write('k', 'u', 0, 100, unknown),
      read('k', 'u', 5, 8),
      write('k', 'a', 10, 15),
      read('k', 'u', 50, 60),
    ];
    expect(staleReads(history)).toHaveLength(1);
  });

  test('shows a value that nobody wrote', () => {
    expect(staleReads([read('k', 'x', 0, 5)])).toHaveLength(1);
  });
});

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
    expect(recoveryOf(stalled(0, 0, 5000), 1000)).toEqual({ recoveryMs: 0, stalledMs: 2, firstWriteMs: null });
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
    expect(recoveryOf(history, 1000, 7900).recoveryMs).toBe(1001);
  });

  test('takes no hiccup of a busy machine for a stall', () => {
    const before = [write('a', 'a', 0, 2), write('b', 'b', 10, 90)];
    expect(stallThresholdMs(before)).toBe(240);
    expect(stallThresholdMs([])).toBe(100);
  });
});

const noFailover: Phases = {
  detectedMs: null,
  agreedMs: null,
  electedMs: null,
  promotedMs: null,
  announcedMs: null,
  newPrimary: null,
};
const failedOver: Phases = { ...noFailover, detectedMs: 1005, promotedMs: 1300, announcedMs: 2100 };

function recording(history: Request[], rest: Partial<Recording> = {}): Recording {
  const whole = new Map(history.map((each) => [each.key, each.value]));
  const final = { throughBalancer: whole, atPrimary: whole };
  const base = { toldAt: 950, faultAt: 1000, healAt: 9000, phases: failedOver, final };
  return { ...base, history, ...rest };
}

const failoverExpected = { failover: 'expected' } as const;

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
    const gone = new Map(history.map((each) => [each.key, each.intendedAt < 500 ? null : each.value]));
    const verdict = judge(
      failoverExpected,
      2000,
      recording(history, { final: { throughBalancer: gone, atPrimary: gone } }),
    );
    expect(verdict.lostWrites).toBe(50);
    expect(verdict.reasons).toEqual(['50 acknowledged writes lost']);
  });

  test('finds a write that only the primary has lost', () => {
    const history = stalled(1000, 1100, 3000);
    const final = { throughBalancer: new Map(), atPrimary: new Map([['k500', null]]) };
    expect(judge(failoverExpected, 2000, recording(history, { final })).lostWrites).toBe(1);
  });

  test('is red when nothing could be read back, and keeps what was measured', () => {
    const history = stalled(1000, 1100, 3000);
    const verdict = judge(failoverExpected, 2000, recording(history, { final: { unread: 'no answer' } }));
    expect(verdict).toMatchObject({ ok: false, recoveryMs: 101 });
    expect(verdict.reasons.join()).toContain('could not be read back: no answer');
  });

  test('asks for the failover that the scenario expects, and for none that it forbids', () => {
    const history = stalled(1000, 1100, 3000);
    const without = judge(failoverExpected, 2000, recording(history, { phases: noFailover }));
    expect(without.reasons).toEqual(['no failover happened, but one was expected']);
    const unwanted = judge({ failover: 'forbidden' }, 2000, recording(history));
    expect(unwanted.reasons).toEqual(['a failover happened that nothing called for']);
  });

  test('takes a failure between the order to break and the estimated fault for the fault’s', () => {
    const history = stalled(1000, 2400, 5000).map((each, index) =>
      index === 98 ? { ...each, outcome: 'failed' as const, endedAt: 990 } : each,
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
      sentAt: each.intendedAt + 80,
      endedAt: each.endedAt + 80,
    }));
    expect(judge(failoverExpected, 2000, recording(late)).reasons.join()).toContain('was not measured');
    expect(judge(failoverExpected, 2000, recording([])).reasons.join()).toContain('nothing was measured');
  });
});
