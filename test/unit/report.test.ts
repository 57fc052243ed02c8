import { describe, expect, test } from 'vitest';
import { type Night, nightOf } from '../../actions/drill/history/night.ts';
import { commentOf, summaryOf } from '../../actions/drill/report/comment.ts';
import {
  type DrillReport,
  percentiles,
  type RunDetail,
  type RunReport,
  reasonsOf,
  scenarioReport,
} from '../../actions/drill/report/data.ts';
import { gantt, longestPhase, phasesOfRun } from '../../actions/drill/report/phases.ts';
import { stillRedOf } from '../../actions/drill/report/still-red.ts';

const green: RunReport = {
  ok: true,
  faultAt: '2026-03-01T03:17:05.000Z',
  recoveryMs: 1432,
  stalledMs: 1433,
  detectedMs: 1009,
  electedMs: 1102,
  promotedMs: 1299,
  requests: 4500,
  failedRequests: 0,
  ackedWrites: 2250,
  lostWrites: 0,
  falseFailovers: 0,
  alert: null,
  reason: null,
  detail: {
    breaks: 'kill -9 of the primary Redis, which stays down',
    target: 'redis-1',
    newPrimary: 'redis-2',
    uncertaintyMs: 1.5,
    agreedMs: 1060,
    announcedMs: 2101,
    firstWriteMs: 1432,
    unknownWrites: 0,
    staleReads: 0,
    resyncedMs: 1380,
    failures: [],
    proofs: [],
    probe: { requestsPerS: 300, lagP99Ms: 1.2, lagMaxMs: 4.5 },
  },
};
const red: RunReport = {
  ...green,
  ok: false,
  recoveryMs: 6100,
  lostWrites: 3,
  reason: 'recovery took 6,100 ms, the budget is 5,000 ms; 3 acknowledged writes lost',
};

function report(...runs: RunReport[]): DrillReport {
  const scenarios = runs.map((run, index) => scenarioReport(`redis-primary-${index}`, 5000, [run]));
  return {
    version: 1,
    environment: 'lab',
    commit: 'a'.repeat(40),
    startedAt: '2026-03-01T03:17:00.000Z',
    finishedAt: '2026-03-01T03:18:00.000Z',
    ok: scenarios.every((scenario) => scenario.ok),
    notStarted: null,
    clocks: [{ node: 'redis-1', offsetMs: 0.3, errorMs: 0.4 }],
    scenarios,
  };
}

/** With plain spaces: those in figures don't break. */
const spaced = (text: string): string => text.replaceAll('\u00a0', ' ');

const context = {
  runUrl: 'https://github.com/acme/shop/actions/runs/7',
  requestTimeoutMs: 5000,
  history: [],
  changed: undefined,
  stillRed: [],
};

describe('the comment', () => {
  test('starts with its marker, then the verdict', () => {
    const [marker, , verdict] = commentOf(report(green), context).split('\n');
    expect(marker).toBe('<!-- firedrill:report environment=lab -->');
    expect(verdict).toBe('## Drill of lab passed: 1 of 1 scenario green, 0 of 2,250 acknowledged writes lost');
  });

  test('has a row for each scenario with what was measured against the budget', () => {
    expect(spaced(commentOf(report(green, red), context))).toContain(
      '| | scenario | recovery (ms) | budget (ms) | longest stall (ms) | failed requests | lost writes |\n' +
        '|---|---|--:|--:|--:|--:|--:|\n' +
        '| ok | redis-primary-0 | 1,432 | 5,000 | 1,433 | 0 of 4,500 | 0 of 2,250 |\n' +
        '| **RED** | redis-primary-1 | **6,100** | 5,000 | 1,433 | 0 of 4,500 | **3 of 2,250** |',
    );
  });

  test('shows the percentiles when a scenario ran more than once', () => {
    const repeated = { ...report(green), scenarios: [scenarioReport('x', 5000, [green, red, green])] };
    const text = spaced(commentOf(repeated, context));
    expect(text).toContain('**1,432 / 6,100 / 6,100**');
    expect(text).toContain('| recovery p50 / p95 / max (ms) |');
  });

  test('says when red what is red, what to do, and how to see it again in the lab', () => {
    const text = commentOf(report(green, red), context);
    expect(text).toContain('## Drill of lab FAILED: 1 of 2 scenarios green, 3 of 4,500 acknowledged writes lost');
    expect(text).toContain('- **redis-primary-1**: recovery took 6,100 ms, the budget is 5,000 ms; 3 acknowledged');
    expect(text).toContain('acknowledged writes lost (longest: until all clients back, 4,668 ms)');
    expect(text).toContain('**Acknowledged writes were lost: deploy nothing before it is understood.**');
    expect(text).toContain(
      `   git checkout ${'a'.repeat(12)}\n   sudo npm run lab -- up\n   sudo npm run lab -- drill redis-primary-1 --repeat 5\n`,
    );
    const slow = { ...red, lostWrites: 0 };
    expect(commentOf({ ...report(slow), commit: null }, context)).not.toMatch(/writes were lost:|git checkout/);
    const detail = { ...green.detail, proofs: ['split brain: k: two'] } as RunDetail;
    const split = commentOf(report({ ...slow, detail }), context);
    expect(split).toContain('**Two primaries acknowledged at the same time: deploy nothing before it is understood.**');
    expect(commentOf(report(slow), context)).not.toContain('Two primaries');
    expect(commentOf(report(green), context)).not.toContain('What is red');
  });

  test('marks a recovery that is over its budget, and not that of a run that is red for something else', () => {
    const lost = { ...green, ok: false, lostWrites: 3, reason: '3 acknowledged writes lost' };
    expect(spaced(commentOf(report(lost), context))).toContain('| **RED** | redis-primary-0 | 1,432 | 5,000 |');
  });

  test('says what was red before on this commit and was not drilled now', () => {
    const stillRed = [{ scenario: 'lb-kill', at: '2026-02-27T03:17:00.000Z' }];
    const line = '**Still red on this commit, and not drilled now:** lb-kill (2026-02-27 03:17 UTC).';
    expect(commentOf(report(green), { ...context, stillRed })).toContain(`\n${line}\n`);
    expect(commentOf(report(green), context)).not.toContain('Still red');
  });

  test('names the first reasons of a scenario that ran often, and how many there are', () => {
    const often = { ...report(red), scenarios: [scenarioReport('x', 5000, [red, red, green, red, red, red])] };
    const text = commentOf(often, context);
    expect(text.match(/^- \*\*x\*\*: recovery took/gm)).toHaveLength(3);
    expect(text).toContain('- **x**: 2 more runs of 6 red, see below');
  });

  test('says which commit was drilled, or that nobody knows', () => {
    const text = commentOf(report(green), context);
    expect(text).toContain(`Commit ${'a'.repeat(12)}, drilled 2026-03-01`);
    expect(text).not.toContain('a'.repeat(13));
    expect(commentOf({ ...report(green), commit: null }, context)).toContain('The deployed commit is unknown, drilled');
  });

  test('says how it was measured', () => {
    const text = commentOf(report(green), context);
    expect(text).toContain('300 requests/s');
    expect(text).toContain('at most 4.5 ms late (p99 1.2 ms)');
    expect(text).toContain('known to 1.5 ms');
  });

  test('says of each recovery what it counts from, and mixes no times that count from different moments', () => {
    const counted = (recovery: RunDetail['recovery']) => {
      const run = { ...green, detail: { ...green.detail, recovery } as RunDetail };
      const text = commentOf(report(run), context);
      return { title: /<summary>redis-primary-0: (.*)<\/summary>/.exec(text)?.[1], text };
    };
    expect(counted('fault').title).toBe('all clients back after 1,432 ms');
    expect(counted('return').title).toBe('all clients back 1,432 ms after the fault ended');
    expect(counted('stall').title).toBe('longest answer 1,432 ms');
    expect(counted('fault').text).toContain('| 1,432 ms | all clients back |');
    expect(counted('return').text).not.toMatch(/\| 1,432 ms \||```mermaid/);
    expect(counted('stall').text).not.toMatch(/\| all clients back \||```mermaid/);
  });

  test('keeps what proves a red run apart from stale reads, which make none', () => {
    const detail = { ...green.detail, target: '', proofs: ['lost: k: gone', 'stale: k: old'] } as RunDetail;
    const text = commentOf(report({ ...red, detail }), context);
    expect(text).toContain('What proves it:\n\n- lost: k: gone\n\nNot red for these, for what a read may show');
    expect(text).toContain('promised:\n\n- stale: k: old\n');
    expect(text).toContain('\nkill -9 of the primary');
  });

  test('says under how many replication IDs writes were acknowledged, or that the service does not tell', () => {
    const by = (primaries?: number | null) =>
      commentOf(report({ ...green, detail: { ...green.detail, primaries } as RunDetail }), context);
    expect(by(2)).toContain(' 2,250 acknowledged writes under 2 replication IDs, 0 lost;');
    expect(by(1)).toContain(' 2,250 acknowledged writes under 1 replication ID, 0 lost;');
    expect(by(null)).toContain(
      ' 2,250 acknowledged writes (by whom is not known: the service sends no `X-Replication-Id`), 0 lost;',
    );
    expect(by()).toContain(' 2,250 acknowledged writes, 0 lost;');
  });

  test('says how many requests waited alone, which is no stall, where any did', () => {
    const alone = (lone?: RunDetail['lone']) =>
      commentOf(report({ ...green, detail: { ...green.detail, lone } as RunDetail }), context);
    const why = ': as for a lost packet on the way; not counted as a stall.\n';
    expect(alone({ requests: 3, longestMs: 284 })).toContain(`\n3 requests waited alone, at most 284 ms${why}`);
    expect(alone({ requests: 1, longestMs: 1042 })).toContain(`\n1 request waited alone, 1,042 ms${why}`);
    for (const lone of [{ requests: 0, longestMs: 0 }, undefined])
      expect(alone(lone)).not.toContain('as for a lost packet on the way; not');
  });

  test('folds the phases of each run', () => {
    const text = commentOf(report(green), context);
    expect(text).toContain('<details><summary>redis-primary-0: all clients back after 1,432 ms</summary>');
    expect(text.indexOf('| 1,009 ms | suspected')).toBeLessThan(text.indexOf('| 1,299 ms | replica promoted |'));
  });

  test('says when the alert fired and was over, beside the phases', () => {
    const alert = { name: 'FailoverHappened', firedMs: 1150, overMs: 61_150 };
    const text = commentOf(report({ ...green, alert }), context);
    expect(text).toContain('| 1,102 ms | leader elected |\n| 1,150 ms | alert FailoverHappened fired |\n');
    expect(text).toContain('| 61,150 ms | alert FailoverHappened over |\n');
    const fires = commentOf(report({ ...green, alert: { ...alert, overMs: null } }), context);
    expect(fires).not.toContain('FailoverHappened over');
    expect(longestPhase({ ...green, alert })?.name).toBe('suspected by a Sentinel');
  });

  test('stays within the limit, keeps what matters, and points to the rest', () => {
    const long = report(...Array.from({ length: 300 }, () => red));
    const whole = summaryOf(long, context);
    const text = commentOf(long, context);
    expect(whole.length).toBeGreaterThan(65_536);
    expect(text.length).toBeLessThanOrEqual(65_536);
    expect(text).toContain(
      'too long for a comment: see [the job summary](https://github.com/acme/shop/actions/runs/7)',
    );
    expect(text).toContain('| redis-primary-299 |');
    const fence = spaced(commentOf(report(red), context)).indexOf('git checkout');
    for (const limit of [700, 2000, fence + 200, fence + 300, 20_000, 50_000]) {
      const cut = commentOf(long, context, limit);
      expect(cut.length).toBeLessThanOrEqual(limit);
      expect(cut).toContain('[the job summary]');
      expect(cut.split('```').length % 2).toBe(1);
      expect(cut.split('<details>').length).toBe(cut.split('</details>').length);
    }
  });

  test("lets no error's text break the page or call anybody", () => {
    const text = commentOf(report({ ...red, reason: 'a|b\n<script> @octocat' }), context);
    expect(text).toContain('a\\|b &lt;script> @\u200boctocat');
  });
});

test('a run that was not measured is red and has no figure', () => {
  const broken: RunReport = { ...red, recoveryMs: null, stalledMs: null, reason: 'no steady state', detail: null };
  const text = spaced(commentOf(report(broken), context));
  expect(text).toContain('| **RED** | redis-primary-0 | **not measured** | 5,000 | - |');
  expect(reasonsOf(report(broken))).toEqual(['redis-primary-0: no steady state']);
});

test('a drill that could not start is red, and says why instead of figures', () => {
  const none: DrillReport = { ...report(), ok: false, notStarted: 'the lease of redis-1: run 7 has it\nto the end' };
  const text = commentOf(none, context);
  expect(text).toContain('<!-- firedrill:report environment=lab -->\n\n## Drill of lab FAILED: it could not start\n');
  expect(text).toContain('the lease of redis-1: run 7 has it to the end\n');
  expect(text).toContain('Nothing was measured');
  expect(text).not.toMatch(/longest stall|lab -- drill|green/);
  expect(reasonsOf(none)).toEqual([`the drill could not start: ${none.notStarted}`]);
});

test('the gantt shows the slowest recovery, from phase to phase', () => {
  expect(gantt(report(green, red).scenarios)).toBe(
    [
      '```mermaid',
      'gantt',
      '    title redis-primary-1, seconds from the fault',
      '    dateFormat x',
      '    axisFormat %S.%L',
      '    suspected by a Sentinel (1009 ms) :0, 1009',
      '    agreed by the quorum (1060 ms) :1009, 1060',
      '    leader elected (1102 ms) :1060, 1102',
      '    replica promoted (1299 ms) :1102, 1299',
      '    replicas linked to the new primary (1380 ms) :1299, 1380',
      '    first write acknowledged again (1432 ms) :1380, 1432',
      '    new primary announced (2101 ms) :milestone, 2101, 0ms',
      '    all clients back (6100 ms) :crit, 1432, 6100',
      '    budget (5000 ms) :milestone, 5000, 0ms',
      '```',
    ].join('\n'),
  );
  expect(gantt(report({ ...green, recoveryMs: 0 }).scenarios)).toBeUndefined();
});

test('what came after the first write, and an announcement after the promotion, is not what clients waited for', () => {
  const late = { ...red, detectedMs: 5900, detail: { ...red.detail, agreedMs: 5950 } as RunDetail };
  expect(longestPhase(late)).toEqual({ name: 'all clients back', tookMs: 4668 });
  const unseen = { ...red, promotedMs: null, detail: { ...red.detail, announcedMs: 1400 } as RunDetail };
  expect(phasesOfRun(unseen).find(({ name }) => name === 'new primary announced')?.waited).toBe(true);
});

test('what was red when it was drilled last stays red until it is drilled again, or another commit is', () => {
  const drilled = (at: string, ...runs: [string, boolean][]): Night => ({
    ...nightOf(
      { ...report(), startedAt: at, scenarios: runs.map(([name]) => scenarioReport(name, 5000, [green])) },
      at,
    ),
    scenarios: runs.map(
      ([name, ok]) => ({ ...nightOf(report(green), at).scenarios[0], name, ok }) as Night['scenarios'][0],
    ),
  });
  const nights = [
    drilled('2026-02-26T03:17:00.000Z', ['lb-kill', false], ['lb-hang', false], ['app-kill', false]),
    drilled('2026-02-27T03:17:00.000Z', ['lb-hang', true], ['redis-primary-0', false]),
  ];
  const red = stillRedOf(report(green), nights).map(({ scenario, at }) => `${scenario} ${at.slice(0, 10)}`);
  expect(red).toEqual(['lb-kill 2026-02-26', 'app-kill 2026-02-26']);
  expect(stillRedOf({ ...report(green), commit: 'b'.repeat(40) }, nights)).toEqual([]);
  expect(stillRedOf({ ...report(green), commit: null }, nights)).toEqual([]);
});

test('a percentile is a value that was measured', () => {
  expect(percentiles([5, 1, 3, 2, 4, 6, 7, 8, 9, 10])).toEqual({ p50: 5, p95: 10, max: 10 });
  expect(percentiles([7])).toEqual({ p50: 7, p95: 7, max: 7 });
  expect(percentiles([])).toEqual({ p50: null, p95: null, max: null });
});

test('a promotion that was seen a poll after the first write is listed before it, and one that came later is not', () => {
  const names = (promotedMs: number, firstWriteMs: number): string[] => {
    const run: RunReport = { ...green, promotedMs, detail: { ...(green.detail as RunDetail), firstWriteMs } };
    return phasesOfRun(run).map(({ name }) => name);
  };
  const order = (all: string[]): boolean =>
    all.indexOf('replica promoted') < all.indexOf('first write acknowledged again');
  expect([order(names(1012, 1000)), order(names(900, 1000)), order(names(1900, 1000))]).toEqual([true, true, false]);
  // Nobody follows one that is not promoted yet.
  const linked: RunReport = {
    ...green,
    promotedMs: 1012,
    detail: { ...(green.detail as RunDetail), firstWriteMs: 1100, resyncedMs: 980 },
  };
  const at = phasesOfRun(linked);
  expect(at.find(({ name }) => name === 'replica promoted')?.atMs).toBe(980);
});
