import { existsSync, globSync, readFileSync } from 'node:fs';
import DOMPurify from 'dompurify';
import mermaid from 'mermaid';
import { beforeAll, describe, expect, test } from 'vitest';
import { nightOf } from '../../actions/drill/history/night.ts';
import { summaryOf } from '../../actions/drill/report/comment.ts';
import { type DrillReport, type RunReport, scenarioReport } from '../../actions/drill/report/data.ts';

// Mermaid cleans labels with DOMPurify, which does so only in a browser. The grammar, which is what is tested, is Mermaid's own.
beforeAll(() => void Object.assign(DOMPurify, { addHook: () => {}, sanitize: (text: string) => text }));

function blocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```mermaid\n(.*?)^```/gms)].map(([, block]) => block ?? '');
}

function run(recoveryMs: number, budgetMs: number): RunReport {
  const figures = { requests: 4500, failedRequests: 0, ackedWrites: 2250, lostWrites: 0, falseFailovers: 0 };
  const probe = { requestsPerS: 500, lagP99Ms: 1.2, lagMaxMs: 4.5 };
  const phases = { agreedMs: 820, announcedMs: 1600, firstWriteMs: recoveryMs, resyncedMs: recoveryMs };
  const counts = { unknownWrites: 0, staleReads: 0, failures: [], proofs: [] };
  return {
    ...{ ok: recoveryMs <= budgetMs, faultAt: '2026-03-01T03:17:05.000Z', recoveryMs, stalledMs: recoveryMs },
    ...{ detectedMs: 800, electedMs: 850, promotedMs: 900, ...figures, alert: null, reason: null },
    detail: {
      breaks: 'kill -9',
      target: 'redis-1',
      newPrimary: 'redis-2',
      uncertaintyMs: 1,
      ...phases,
      ...counts,
      probe,
    },
  };
}

function drill(day: number, recoveryMs: number): DrillReport {
  const scenarios = ['redis-primary-kill', 'redis-primary-partition-one-way'].map((name) =>
    scenarioReport(name, 1200, [run(recoveryMs, 1200)]),
  );
  const at = new Date(Date.UTC(2026, 1, day, 3, 17)).toISOString();
  const when = { startedAt: at, finishedAt: at, clocks: [] };
  return { version: 1, environment: 'lab', commit: null, ok: recoveryMs <= 1200, notStarted: null, ...when, scenarios };
}

describe("every Mermaid block of a report is one that GitHub's Mermaid draws", () => {
  test.each([1, 12, 40])('with %i nights before', async (nights) => {
    const history = Array.from({ length: nights }, (_, day) => nightOf(drill(day, 900 + day), String(day)));
    for (const recoveryMs of [0, 950, 4000]) {
      const context = { runUrl: undefined, requestTimeoutMs: 5000, history, changed: undefined, stillRed: [] };
      const found = blocks(summaryOf(drill(41, recoveryMs), context));
      expect(found).toHaveLength((recoveryMs > 0 ? 1 : 0) + (nights >= 2 ? 1 : 0));
      for (const block of found)
        expect(await mermaid.parse(block)).toMatchObject({ diagramType: expect.stringMatching(/^(gantt|xychart)$/) });
    }
  });

  test("in README's, too", async () => {
    const files = globSync('.github/reports/*.md');
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) {
      for (const block of blocks(readFileSync(file, 'utf8'))) await mermaid.parse(block);
      expect(existsSync(file.replace('.md', '.png')), `${file} is drawn: npm run draw -- ${file}`).toBe(true);
    }
  });

  test('and one that is none is found', async () => {
    await expect(mermaid.parse('xychart-beta\n    bar [')).rejects.toThrow(/Parse error/);
    await expect(mermaid.parse('gantt\n    dateFormat x\n    a :0, 1\n    what is this')).rejects.toThrow();
  });
});
