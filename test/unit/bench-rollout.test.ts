import { describe, expect, test } from 'vitest';
import { mapAtMost } from '../../actions/core/at-most.ts';
import { sleep } from '../../actions/core/deadline.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { readResult } from '../bench/rollout/ansible.ts';
import { orderOf, type Pair } from '../bench/rollout/compare.ts';
import { everyNode, oneRole, reportOf, waitedMs } from '../bench/rollout/ours.ts';
import { rowsOf } from '../bench/rollout/rows.ts';
import { exchangeOf, exchanges, tripsOf } from '../bench/rollout/trips.ts';

const node = (name: string, phases: object[]) => ({ node: name, phases }) as unknown as RolloutReport['nodes'][number];

describe('what a run says', () => {
  test('ours: only the windows of its gates are waiting', () => {
    const phases = [
      { phase: 'switch', ms: 300 },
      { phase: 'active', ms: 650 },
      { phase: 'gate', ms: 900, waitedMs: 700 },
    ];
    const environment = { rollout: { gateSuccesses: 3, gateIntervalMs: 200 } } as Parameters<typeof waitedMs>[1];
    expect(waitedMs({ nodes: [node('a', phases), node('b', [{ phase: 'active', ms: 500 }])] }, environment)).toBe(1800);
  });

  test('ours: the report among the outputs of the action', () => {
    const output = 'bad<<x\n[]\nx\nreport<<ghadelimiter_1\n{"ok":true}\nghadelimiter_1\nchanged<<x\ntrue\nx\n';
    expect(reportOf(output)).toEqual({ ok: true });
    expect(() => reportOf('changed<<x\ntrue\nx\n')).toThrow('no report');
  });

  test('ours: the order in which the nodes were switched, those that were left alone last', () => {
    const nodes = [
      node('left', []),
      node('second', [{ phase: 'switch', endMs: 20 }]),
      node('first', [{ phase: 'switch', endMs: 10 }]),
    ];
    expect(orderOf({ nodes })).toEqual(['first', 'second', 'left']);
  });

  test("Ansible's: retries are waiting, and the recap tells what changed", () => {
    const line = (host: string, changed: number) =>
      `${host.padEnd(20)} : ok=4    changed=${changed}    unreachable=0    failed=0    skipped=0`;
    const retry = 'FAILED - RETRYING: [app-1]: answers (30 retries left).\n';
    expect(readResult(`${retry}${retry}\nPLAY RECAP ***\n${line('app-1', 2)}\n${line('lb-1', 1)}\n`)).toEqual({
      waitedMs: 2000,
      changed: 3,
    });
    expect(() => readResult('ERROR! no such file')).toThrow('no recap');
  });
});

describe('the edits of the cases', () => {
  test.each([
    ['one role', oneRole, '  checkIntervalMs: 250\n'],
    ['every node', everyNode, 'ARGS=""\n'],
  ])('%s: another text each round', (_, edit, before) => {
    const texts = [edit.text(before, 0), edit.text(before, 1), before];
    expect(new Set(texts).size).toBe(3);
  });
});

describe('round trips', () => {
  test.each([
    ['sudo -n sh -c \'umask 077; tar && exec sh /x/node/apply.sh "$@"\' sh 1a2b stage d', 'stage'],
    ['sudo -n sh /var/lib/firedrill/incoming/1a2b/node/apply.sh 1a2b switch d 1 2', 'switch'],
    ['sudo -n sh /var/lib/firedrill/incoming/1a2b/node/apply.sh 1a2b confirm n', 'confirm'],
    ['sudo -n sh /var/lib/firedrill/incoming/1a2b/node/apply.sh 1a2b renew 1', undefined],
    ['sudo -n sh -s -- 0f redis-server - - - mymaster - -', 'facts'],
    ['sudo -n sh -s -- - redis-server - - - mymaster - -', 'look'],
    ['sudo -n socat -t 2 - UNIX-CONNECT:/run/haproxy/admin.sock', undefined],
  ])('%s', (command, exchange) => expect(exchangeOf(command)).toBe(exchange));

  test('are what the distance adds to the quickest, and one for opening a connection', () => {
    const times = (ms: number) =>
      exchanges.flatMap((exchange) => [
        { exchange, ms },
        { exchange, ms: ms + 1000 },
      ]);
    const trips = tripsOf(times(50), times(450));
    expect(trips.get('switch')).toBe(2);
    expect(trips.get('connect again')).toBe(3);
    expect(() => tripsOf([], times(1))).toThrow('never seen');
  });
});

describe('the rows', () => {
  const pair = (oursMs: number, ansibleMs: number): Pair[] =>
    (['one role', 'every node, one at a time', 'nothing to change'] as const).map((name) => ({
      case: name,
      ours: { ms: oursMs + 500, waitedMs: 500, report: {} as RolloutReport },
      ansible: { ms: ansibleMs, waitedMs: 0, changed: 0 },
    }));

  test('hold ours to a share of what Ansible takes, without the waiting', () => {
    const rows = rowsOf({ pairs: [pair(1000, 20_000), pair(1000, 20_000), pair(9000, 20_000)].flat() }, undefined);
    const of = (metric: string) => rows.find((row) => row.metric === metric);
    expect(of('every node, one at a time')).toMatchObject({ ours: 1, peerValue: 20, met: true });
    expect(of('nothing to change')).toMatchObject({ ratio: 0.05, goal: 1 / 40, met: false });
    expect(of('one role')).toMatchObject({ goal: null });
    expect(of('one role: waited in gates')).toMatchObject({ ours: 0.5, peerValue: 0 });
  });

  test('add the round trips up without the looks, and hold the sum to its goal', () => {
    const trips = exchanges.map((exchange) => [exchange, 2.5] as const);
    expect(rowsOf({ trips }, undefined)[0]).toMatchObject({ ours: 17.5, goal: 16, met: false });
  });

  test('hold the plan for 200 hosts to its time and its memory, and show the others', () => {
    const plans = [50, 100, 200, 1000].map((hosts) => ({ hosts, ms: hosts * 20, peakMb: hosts }));
    const held = rowsOf({}, plans).filter((row) => row.met !== null);
    expect(held.map(({ ours, met }) => [ours, met])).toEqual([
      [4, true],
      [200, false],
    ]);
  });
});

test('work is done at most so many at a time, and its results keep their order', async () => {
  let now = 0;
  let most = 0;
  const results = await mapAtMost(3, [5, 1, 4, 2, 3], async (item) => {
    most = Math.max(most, ++now);
    await sleep(item);
    now -= 1;
    return item * 10;
  });
  expect({ most, results }).toEqual({ most: 3, results: [50, 10, 40, 20, 30] });
  await expect(mapAtMost(2, [1, 2], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
});
