import { describe, expect, test } from 'vitest';
import { latencyMs, type Request } from '../../actions/drill/probe/history.ts';
import { probeLatenessIn, probeLatenessMs } from '../../actions/drill/verdict/lateness.ts';
import { recoveryOf } from '../../actions/drill/verdict/recovery.ts';
import { judge, type Recording } from '../../actions/drill/verdict/verdict.ts';

/** The fault of a drill that lasts for 12 s. */
const faultAt = 2000;
const lastsMs = 12_000;

interface Fleet {
  readonly requestsPerS: number;
  /** From the probe to the fleet and back. */
  readonly roundTripMs: number;
  readonly seed?: number;
}

type Harm = (history: readonly Request[]) => Request[];

/** Who asked for what, by chance, and was answered after the round trip and 1 to 3 ms; then each harm that came to it. */
function served({ requestsPerS, roundTripMs, seed = 1 }: Fleet, ...harms: Harm[]): Request[] {
  const random = generator(seed);
  const calm = Array.from({ length: (lastsMs * requestsPerS) / 1000 }, (_, id): Request => {
    const at = (id * 1000) / requestsPerS;
    const op = random() < 0.5 ? 'read' : 'write';
    const what = {
      id,
      process: id,
      op,
      key: `k${id}`,
      value: op === 'write' ? `v${id}` : null,
      requestId: '',
    } as const;
    const times = { intendedAt: at, sentAt: at, endedAt: at + roundTripMs + 1 + 2 * random() };
    const status = op === 'write' ? 204 : 404;
    return { ...what, ...times, etag: null, primary: null, outcome: 'ok', status };
  });
  return harms.reduce((history, harm) => harm(history), calm);
}

/** The service answers nobody who is in its hands for so long, or only those of one of its apps, which take turns. */
const stall = (from: number, forMs: number, apps = 1, op?: Request['op']): Harm => {
  const touched = ({ id, intendedAt, ...request }: Request): boolean =>
    intendedAt >= from && intendedAt < from + forMs && id % apps === 0 && (op ?? request.op) === request.op;
  return (history) =>
    history.map((each) => (touched(each) ? { ...each, endedAt: from + forMs + latencyMs(each) } : each));
};

/** The first request of that kind that is due then waits for so much longer. */
const delayed =
  (at: number, byMs: number, op: Request['op'] = 'write'): Harm =>
  (history) => {
    const struck = history.find((each) => each.intendedAt >= at && each.op === op);
    return history.map((each) => (each === struck ? { ...each, endedAt: each.endedAt + byMs } : each));
  };

/** The shortest time that Linux waits before it sends a packet again: 200 ms above the round trip. */
const resentMs = ({ roundTripMs }: Fleet): number => 200 + roundTripMs;

/** One packet in a thousand is lost, and each request needs four; whoever loses two waits twice as long for the second. */
const lossy = (fleet: Fleet): Harm => {
  const random = generator(1000 + (fleet.seed ?? 1));
  const one = (): number => (random() < 0.001 ? 1 : 0);
  return (history) =>
    history.map((each) => {
      const lost = one() + one() + one() + one();
      return lost === 0 ? each : { ...each, endedAt: each.endedAt + (2 ** lost - 1) * resentMs(fleet) };
    });
};

/** As in a test of chance that everybody can repeat (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const nothingHappened = {
  detectedMs: null,
  agreedMs: null,
  electedMs: null,
  promotedMs: null,
  announcedMs: null,
  resyncedMs: null,
  newPrimary: null,
  failovers: 0,
};

function judged(recovery: 'fault' | 'stall', budgetMs: number, history: readonly Request[]) {
  const recording: Recording = {
    toldAt: faultAt - 10,
    faultAt,
    healAt: lastsMs,
    history,
    phases: nothingHappened,
    final: { reads: [] },
    alerts: { rules: undefined, fired: [] },
  };
  return judge({ failovers: 0, recovery, mayFail: 0, alert: null }, budgetMs, recording);
}

const fleets = [1, 85].flatMap((roundTripMs) =>
  [200, 500].map((requestsPerS): Fleet => ({ roundTripMs, requestsPerS })),
);

describe.each(fleets)('through $roundTripMs ms of network at $requestsPerS requests/s', (fleet) => {
  const { roundTripMs } = fleet;
  const inWarmUp = delayed(500, resentMs(fleet));

  test('one lost packet long after the fault is no recovery, but it is reported', () => {
    const history = served(fleet, delayed(faultAt + 6000, resentMs(fleet)));
    const waitedMs = Math.max(...history.map(latencyMs));
    for (const recovery of ['fault', 'stall'] as const) {
      const verdict = judged(recovery, 100, history);
      expect(verdict).toMatchObject({ ok: true, stalledMs: waitedMs, lone: { requests: 1, longestMs: waitedMs } });
      expect(verdict.recoveryMs).toBe(recovery === 'fault' ? 0 : verdict.countedMs);
    }
  });

  test.each([
    ['the whole service', stall(5000, 300)],
    ['one of two apps', stall(5000, 300, 2)],
    ['all writes', stall(5000, 300, 1, 'write')],
  ])('a stall of %s for 300 ms is seen, also when a packet was lost in the warm-up', (_, stalled) => {
    for (const history of [served(fleet, stalled), served(fleet, inWarmUp, stalled)]) {
      const backMs = 5300 - faultAt + roundTripMs;
      const fault = judged('fault', 500, history);
      expect(fault).toMatchObject({ ok: false, lone: { requests: 0 } });
      expect(Math.abs((fault.recoveryMs ?? 0) - backMs)).toBeLessThan(4);
      expect(judged('stall', 250, history)).toMatchObject({ ok: false, recoveryMs: fault.stalledMs });
    }
  });

  test('a stall that begins with the fault ends when it ends, whatever is lost afterwards', () => {
    const history = served(fleet, stall(faultAt, 300), delayed(faultAt + 6000, resentMs(fleet)));
    const { recoveryMs, lone } = recoveryOf(history, faultAt);
    expect(Math.abs((recoveryMs ?? 0) - 300 - roundTripMs)).toBeLessThan(4);
    expect(lone.requests).toBe(1);
  });
});

test.each([1, 85])(
  'chance makes no drill red through %i ms of network that loses one packet in a thousand, and hides no stall of 300 ms',
  (roundTripMs) => {
    const seen = { red: 0, lone: 0, stalls: 0, halves: 0 };
    const drills = 200;
    for (let seed = 1; seed <= drills; seed += 1) {
      const fleet = { roundTripMs, requestsPerS: 500, seed };
      const calm = served(fleet);
      const through = (history: readonly Request[]) => recoveryOf(lossy(fleet)(history), faultAt);
      const { recoveryMs, countedMs, lone } = through(calm);
      seen.red += recoveryMs === 0 && countedMs < 200 + roundTripMs ? 0 : 1;
      seen.lone += lone.requests;
      seen.stalls += (through(stall(5000, 300)(calm)).recoveryMs ?? 0) > 5000 - faultAt ? 1 : 0;
      seen.halves += (through(stall(5000, 300, 2)(calm)).recoveryMs ?? 0) > 5000 - faultAt ? 1 : 0;
    }
    expect(seen).toMatchObject({ red: 0, stalls: drills, halves: drills });
    // The control: four in a thousand of the 5,000 requests after the fault were slow.
    expect(Math.abs(seen.lone - drills * 20)).toBeLessThan(drills * 2);
  },
  60_000,
);

describe('a request that nobody else waited with', () => {
  const fleet = { roundTripMs: 85, requestsPerS: 500 };

  test('counts when it failed', () => {
    const failing: Harm = (history) =>
      history.map((each) => (each.id === 3000 ? { ...each, op: 'write', outcome: 'unknown', status: 503 } : each));
    const history = served(fleet, failing);
    const { recoveryMs } = recoveryOf(history, faultAt);
    expect(recoveryMs).toBe((history[3000]?.endedAt ?? Number.NaN) - faultAt);
    expect(recoveryMs).toBeGreaterThan(4000);
    expect(judged('fault', 500, history).ok).toBe(false);
  });

  test('counts when it waited for longer than one lost packet makes it wait, also that which opens a connection', () => {
    const waited = (byMs: number) => recoveryOf(served(fleet, delayed(5000, byMs)), faultAt);
    // A SYN is sent again after a second, and then come its round trip and the request's.
    expect(waited(1000 + 85)).toMatchObject({ recoveryMs: 0, lone: { requests: 1 } });
    expect(waited(1500)).toMatchObject({ lone: { requests: 0, longestMs: 0 } });
    expect(waited(1500).recoveryMs).toBeGreaterThan(4500);
  });

  test('counts when it waited for longer than a second and the budget', () => {
    const waited = served(fleet, delayed(5000, 1000));
    expect(judged('stall', 1000, waited).reasons.join()).toMatch(/^an answer took 1,08\d ms, the budget is 1,000 ms$/);
    expect(judged('stall', 1200, waited).ok).toBe(true);
    expect(judged('fault', 1000, waited).ok).toBe(false);
  });

  test('is one of fewer than four in ten of its kind: what four waited for together is a stall', () => {
    const fewest = { roundTripMs: 1, requestsPerS: 200 };
    /** Of reads and writes in turn, the slow ones named by their place among those of their kind. */
    const slow = (reads: number[], writes: number[] = []): number | null => {
      const inTurn: Harm = (history) => history.map((each) => ({ ...each, op: each.id % 2 === 0 ? 'read' : 'write' }));
      const ids = new Set([...reads.map((place) => 2 * place), ...writes.map((place) => 2 * place + 1)]);
      const late: Harm = (history) =>
        history.map((each) => (ids.has(each.id) ? { ...each, endedAt: each.endedAt + 200 } : each));
      return recoveryOf(served(fewest, inTurn, late), faultAt).recoveryMs;
    };
    expect(slow([500, 501, 502])).toBe(0);
    expect(slow([500, 503, 506, 510])).toBe(0);
    expect(slow([500, 503, 506, 509])).toBeGreaterThan(3000);
    // Two of each kind are four in ten of all, and of no kind.
    expect(slow([500, 501], [500, 501])).toBe(0);
    // 5 % are slow, but never more than three at once.
    expect(slow([500, 510, 520, 530, 540, 550, 560, 570])).toBe(0);
  });

  test('has no company in those that were served before the fault', () => {
    const fleet = { roundTripMs: 85, requestsPerS: 500 };
    const lost = [300, 240, 180, 120, 60].map((beforeMs) => delayed(faultAt - beforeMs, resentMs(fleet), 'read'));
    expect(recoveryOf(served(fleet, ...lost), faultAt)).toMatchObject({ recoveryMs: 0, lone: { requests: 5 } });
  });
});

test('a stall that touches 5 % for most of a second is seen, as of one of twenty apps', () => {
  const fleet = { roundTripMs: 85, requestsPerS: 500 };
  const twentieth = recoveryOf(served(fleet, stall(5000, 900, 20)), faultAt);
  expect(twentieth.recoveryMs).toBeGreaterThan(3800);
  expect(judged('stall', 800, served(fleet, stall(5000, 900, 20))).ok).toBe(false);
});

test('a stall that makes tens of thousands slow is measured within a moment', () => {
  const fleet = { roundTripMs: 1, requestsPerS: 5000 };
  const history = served(fleet, stall(faultAt, 9000));
  expect(history.length).toBe(60_000);
  const startedAt = performance.now();
  expect(recoveryOf(history, faultAt).recoveryMs).toBeGreaterThan(9000);
  // All against all would be two billion comparisons.
  expect(performance.now() - startedAt).toBeLessThan(3000);
});

test("the probe's own lateness is found for many requests as it is for one", () => {
  const random = generator(7);
  const history = served({ roundTripMs: 1, requestsPerS: 50 }).map((each) => {
    const sentAt = each.intendedAt + (random() < 0.1 ? 300 * random() : 0);
    return { ...each, sentAt, endedAt: sentAt + 200 * random() };
  });
  const latenessMs = probeLatenessIn(history);
  expect(history.map(latenessMs)).toEqual(history.map((each) => probeLatenessMs(each, history)));
  expect(probeLatenessIn([])(history[0] as Request)).toBe(0);
});
