import { describe, expect, it } from 'vitest';
import { nowMs, wallMs } from '../../actions/drill/clock.ts';
import type { Request } from '../../actions/drill/probe/history.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { measure } from '../rollout-load/measure.ts';
import { rowsOf } from '../rollout-load/report.ts';

const begun = nowMs();
const phase = (name: string, endMs: number, ms: number) => ({ phase: name, ok: true, ms, detail: '', endMs });
const node = (name: string, ...phases: ReturnType<typeof phase>[]) =>
  ({ node: name, units: [], phases }) as unknown as RolloutReport['nodes'][number];
const report = {
  startedAt: new Date(wallMs(begun)).toISOString(),
  ms: 9000,
  handovers: [{ to: 'redis-2', pausedMs: 120.4, caughtUpMs: 2, promotedMs: 118 }],
  nodes: [
    node('redis-1', phase('stage', 9000, 9000), phase('handover', 3000, 2000), phase('restart', 6000, 1000)),
    node('redis-2', phase('gate', 8000, 1000)),
  ],
} as unknown as RolloutReport;

let count = 0;
const write = (atMs: number, ms: number, more: Partial<Request> = {}): Request => ({
  id: ++count,
  process: count,
  op: 'write',
  key: `k${count}`,
  value: `v${count}`,
  etag: `e${count}`,
  primary: null,
  requestId: '',
  intendedAt: begun + atMs,
  sentAt: begun + atMs,
  endedAt: begun + atMs + ms,
  outcome: 'ok',
  status: 204,
  ...more,
});

describe('a rollout under load', () => {
  it('names for each stall the phase in which it fell, and for the handover its own', () => {
    const history = [write(1500, 230), write(1600, 130), write(5500, 90), write(6400, 60), write(7500, 20)];
    const round = measure(history, [], report);
    expect(round.stalls.map(({ ms, node, phase }) => `${ms} ${node} ${phase}`)).toEqual([
      '230 redis-1 handover',
      '90 redis-1 restart',
      '60 none between',
    ]);
    expect(round).toMatchObject({ handoverStallMs: 230, pausedMs: 120, failed: 0, lost: 0, acknowledged: 5 });
  });

  it('takes off what the probe itself was late by', () => {
    const late = write(1500, 900, { sentAt: begun + 2300 });
    const round = measure([late, write(1700, 700, { sentAt: begun + 2300 })], [], report);
    expect(round.stalls.map(({ ms }) => ms)).toEqual([100]);
    expect(round).toMatchObject({ handoverStallMs: 100, lagMaxMs: 800 });
  });

  it('counts what failed and what was lost, and misses its goals then', () => {
    const lost = write(1000, 5);
    const gone = { process: -1, op: 'read' as const, key: lost.key, value: null, etag: null, requestId: '' };
    const times = { invokedAt: begun + 9000, completedAt: begun + 9001 };
    const history = [lost, write(1000, 5, { outcome: 'refused', status: 503 }), write(1500, 500)];
    const round = measure(history, [{ ...gone, ...times, outcome: 'ok', result: 'absent' }], report);
    expect(round).toMatchObject({ failed: 1, failures: ['1 x write 503'], lost: 1 });
    const missed = rowsOf([{ ...round, error: null }]).filter((row) => row.met === false);
    expect(missed.map((row) => row.metric)).toEqual([
      'failed requests',
      'lost acknowledged writes',
      'longest stall',
      'stall of the handover, p95',
    ]);
  });
});
