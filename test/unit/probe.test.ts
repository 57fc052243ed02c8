import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { checkHistory } from '../../actions/core/history/check.ts';
import type { Operation } from '../../actions/core/history/operation.ts';
import { type Step, workload } from '../../actions/core/history/workload.ts';
import { nowMs } from '../../actions/drill/clock.ts';
import { lagOf, latencyMs, operationOf, outcomeOf, outcomeOfError } from '../../actions/drill/probe/history.ts';
import { startProbe } from '../../actions/drill/probe/probe.ts';
import { recoveryOf } from '../../actions/drill/verdict/recovery.ts';
import { stallThresholdMs } from '../../actions/drill/verdict/slow.ts';

/** The service as a map, which can stall, refuse or hang up. */
function service() {
  const store = new Map<string, { value: string; etag: string }>();
  let versions = 0;
  let mode: 'serve' | 'stall' | 'refuse' | 'reset' = 'serve';
  const waiting: (() => void)[] = [];
  const server = createServer((request, response) => {
    const key = request.url ?? '';
    let body = '';
    request.on('data', (chunk) => (body += chunk));
    request.on('end', () => {
      const answer = () => {
        const found = store.get(key);
        const { 'if-match': match, 'if-none-match': none } = request.headers;
        if (key === '/healthz') response.end('ok');
        else if (request.method === 'PUT') {
          if ((match !== undefined && match !== found?.etag) || (none === '*' && found !== undefined)) {
            response.writeHead(412).end();
            return;
          }
          versions += 1;
          store.set(key, { value: body, etag: `"${versions}"` });
          response.writeHead(204, { etag: `"${versions}"`, 'x-replication-id': 'abc' }).end();
        } else if (request.method === 'DELETE') response.writeHead(store.delete(key) ? 204 : 404).end();
        else if (found === undefined) response.writeHead(404).end();
        else response.writeHead(200, { etag: found.etag }).end(found.value);
      };
      if (mode === 'stall') waiting.push(answer);
      else if (mode === 'refuse') response.writeHead(503).end();
      else if (mode === 'reset') request.socket.destroy();
      else answer();
    });
  });
  return {
    server,
    set: (to: typeof mode) => {
      mode = to;
      if (to === 'serve') for (const answer of waiting.splice(0)) answer();
    },
  };
}

let running: Server | undefined;
afterEach(() => {
  running?.closeAllConnections();
  running?.close();
});

async function probed(work: (to: ReturnType<typeof service>) => Promise<void>, requestTimeoutMs = 5000) {
  const fake = service();
  running = fake.server.listen(0, '127.0.0.1');
  await new Promise((resolve) => fake.server.once('listening', resolve));
  const url = `http://127.0.0.1:${(fake.server.address() as AddressInfo).port}`;
  const probe = await startProbe({ url, run: 'test', requestsPerS: 300, requestTimeoutMs });
  await work(fake);
  await probe.stop();
  return probe.history;
}

describe('the probe', () => {
  test('measures a stall of one second as one second, for all who came meanwhile', async ({ skip }) => {
    let stalledAt = 0;
    let servedAt = 0;
    // What this machine itself adds: the service here, and the probe as it says of itself, may be late when others have the processor.
    const loop = monitorEventLoopDelay({ resolution: 5 });
    loop.enable();
    const history = await probed(async (fake) => {
      await delay(500);
      stalledAt = nowMs();
      fake.set('stall');
      await delay(1000);
      servedAt = nowMs();
      fake.set('serve');
      await delay(300);
    });
    const { recoveryMs, stalledMs } = recoveryOf(history, stalledAt);
    const stallMs = servedAt - stalledAt;
    loop.disable();
    const calm = stallThresholdMs(history.filter((request) => request.endedAt < stalledAt));
    if (calm >= stallMs)
      skip(`this machine itself let requests wait so long before the stall that only ${Math.round(calm)} ms are slow`);
    const toleranceMs = 60 + loop.max / 1e6 + lagOf(history).maxMs;
    expect(Math.abs((recoveryMs ?? Number.NaN) - stallMs)).toBeLessThan(toleranceMs);
    expect(Math.abs(stalledMs - stallMs)).toBeLessThan(toleranceMs);
    expect(history.every((request) => request.outcome === 'ok')).toBe(true);
    // Arrivals went on at 300/s: some 300 of them waited, half of them longer than half of the stall.
    const waited = history.filter((request) => latencyMs(request) > stallMs / 2).length;
    const slack = 30 + 0.3 * toleranceMs; // 300 a second
    expect(Math.abs(waited - 150)).toBeLessThan(slack);
    expect(checkHistory(history.map(operationOf)).violations).toEqual([]);
  });

  test('keeps its rate', async () => {
    const history = await probed(() => delay(1000));
    const due = history.map((request) => request.intendedAt);
    const spanMs = Math.max(...due) - Math.min(...due);
    expect(spanMs).toBeGreaterThan(800);
    expect((history.length - 1) / (spanMs / 1000)).toBeCloseTo(300, 0);
    expect(history.filter((request) => request.op === 'write').length).toBeGreaterThan(history.length / 3);
    const written = history.filter((request) => request.op === 'write' && request.status === 204);
    expect(new Set(written.map((request) => request.primary))).toEqual(new Set(['abc']));
  });

  test('knows refused from unknown: a write that was cut off may have happened', async () => {
    const history = await probed(async (fake) => {
      await delay(200);
      fake.set('refuse');
      await delay(200);
      fake.set('reset');
      await delay(200);
      fake.set('serve');
      await delay(100);
    });
    const outcomes = (op: string) => new Set(history.filter((each) => each.op === op).map((each) => each.outcome));
    expect(outcomes('write')).toEqual(new Set(['ok', 'refused', 'unknown']));
    expect(outcomes('read')).toEqual(new Set(['ok', 'refused', 'failed']));
  });

  test('gives every request its own deadline, counted from when it was due', async () => {
    const history = await probed(async (fake) => {
      await delay(100);
      fake.set('stall');
      await delay(700);
    }, 400);
    const overran = history.filter((request) => request.error === 'deadline');
    expect(overran.length).toBeGreaterThan(100);
    const toleranceMs = 60 + lagOf(history).maxMs;
    for (const request of overran) expect(Math.abs(latencyMs(request) - 400)).toBeLessThan(toleranceMs);
  });
});

describe('an outcome', () => {
  test.each([
    ['write', 204, 'ok'],
    ['read', 200, 'ok'],
    ['read', 404, 'ok'],
    ['write', 503, 'refused'],
    ['read', 503, 'refused'],
    ['write', 502, 'unknown'],
    ['write', 504, 'unknown'],
    ['write', 400, 'failed'],
    ['read', 502, 'failed'],
  ] as const)('of a %s answered %i is %s', (op, status, outcome) => {
    expect(outcomeOf(op, status)).toBe(outcome);
  });

  test('of a write that never got a connection is failed, of one that lost it unknown', () => {
    expect(outcomeOfError('write', 'ECONNREFUSED')).toBe('failed');
    expect(outcomeOfError('write', 'ECONNRESET')).toBe('unknown');
    expect(outcomeOfError('read', 'ECONNRESET')).toBe('failed');
  });
});

describe('the workload', () => {
  /** As from a store that answers at once. */
  const answered = ({ process, op, key, value }: Step, index: number): Operation => ({
    process,
    op,
    key,
    value: op === 'read' ? `${index} read` : value,
    etag: String(index),
    requestId: '',
    invokedAt: index,
    completedAt: index,
    outcome: 'ok',
    result: 'done',
  });

  test('never writes a value twice, to keys of its own and to keys that all share, and most keys only once', () => {
    const { next, ended } = workload('x');
    const steps = Array.from({ length: 8000 }, (_, index) => {
      const step = next();
      // Eight clients at a time.
      if (index % 8 === 7) for (let back = 0; back < 8; back += 1) ended(answered(step, index));
      return step;
    });
    const writes = steps.filter((step) => step.op === 'write');
    expect(new Set(writes.map((step) => step.value)).size).toBe(writes.length);
    expect(writes.length).toBeGreaterThan(steps.length * 0.4);
    const keys = Map.groupBy(writes, (step) => step.key);
    const once = [...keys.values()].filter((list) => list.length === 1).length;
    expect(once).toBeGreaterThan(writes.length * 0.45);
    expect([...keys.keys()].filter((key) => key.includes('shared'))).toHaveLength(4);
    expect(steps.some((step) => step.op === 'delete')).toBe(true);
    for (const key of keys.keys()) expect(key).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  });

  test('increments a counter from the version that was seen, and looks again when that was not there any more', () => {
    const { next, ended } = workload('x');
    const counter = (...wanted: Step['op'][]): Step => {
      for (;;) {
        const step = next();
        if (step.key.endsWith('counter-0') && wanted.includes(step.op)) return step;
        ended({ ...answered(step, 1), key: 'other' });
      }
    };
    const look = counter('read', 'write');
    expect(look.op).toBe('read');
    ended({ ...answered(look, 1), value: null, etag: null, result: 'absent' });
    const create = counter('write');
    expect(create).toMatchObject({ op: 'write', condition: null });
    ended({ ...answered(create, 2), etag: 'tag' });
    const increment = counter('write');
    expect(increment.condition).toEqual({ etag: 'tag', value: create.value });
    expect(increment.value).toMatch(/^2 /);
    ended({ ...answered(increment, 3), result: 'mismatch' });
    expect(counter('read', 'write').op).toBe('read');
  });
});
