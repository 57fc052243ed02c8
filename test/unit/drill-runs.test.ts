import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { plainLog } from '../../actions/core/log.ts';
import type { RunReport } from '../../actions/drill/report/data.ts';
import { type KeptRun, keepRun, readRuns, runsOf } from '../../actions/drill/runs/file.ts';
import { planRuns, withEarlier } from '../../actions/drill/runs/resume.ts';
import { summaryOfRuns } from '../../actions/drill/runs/summary.ts';

const commit = 'a'.repeat(40);
const environment = loadEnvironment('environments/lab.yaml');
const drill = { commit, at: '2026-03-02T03:17:00.000Z' };
const log = plainLog(() => {});

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-runs-'));
  path = join(folder, 'out', 'drill.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

function run(recoveryMs: number, rest: Partial<RunReport> = {}): RunReport {
  const figures = { requests: 4000, failedRequests: 0, ackedWrites: 2000, lostWrites: 0, falseFailovers: 0 };
  const phases = { detectedMs: 300, electedMs: 350, promotedMs: 400 };
  const base = { ok: true, faultAt: null, recoveryMs, stalledMs: recoveryMs, ...phases, ...figures };
  return { ...base, alert: null, reason: null, detail: null, ...rest };
}

function kept(scenario: string, of: RunReport, rest: Partial<KeptRun> = {}): KeptRun {
  const at = '2026-03-01T03:17:00.000Z';
  return { version: 1, at, environment: 'lab', commit, scenario, budgetMs: 1200, run: of, ...rest };
}

describe('the file of runs', () => {
  test('gives back what was appended, in order, and only what belongs together', () => {
    const all = [kept('app-kill', run(8)), kept('app-kill', run(9), { commit: null }), kept('app-stop', run(7))];
    expect(readRuns(path)).toEqual([]);
    for (const each of all) keepRun(path, each);
    expect(readRuns(path)).toEqual(all);
    expect(runsOf(readRuns(path), { environment: 'lab', commit })).toEqual([all[0], all[2]]);
    expect(runsOf(readRuns(path), { environment: 'production', commit })).toEqual([]);
  });

  test('survives a writer that was killed in the middle of a line', () => {
    keepRun(path, kept('app-kill', run(8)));
    appendFileSync(path, '{"version":1,"at":"2026');
    expect(readRuns(path)).toHaveLength(1);
    keepRun(path, kept('app-kill', run(9)));
    expect(readRuns(path).map((each) => each.run.recoveryMs)).toEqual([8, 9]);
    expect(readFileSync(path, 'utf8')).not.toContain('"at":"2026{');
  });

  test('names a line that is no run', () => {
    keepRun(path, kept('app-kill', run(8)));
    appendFileSync(path, '{"version":2}\n');
    expect(() => readRuns(path)).toThrow(/drill\.jsonl, line 2/);
  });
});

describe('a drill with a number of runs', () => {
  test('goes on with what the file has of this commit, and counts no other', () => {
    keepRun(path, kept('app-kill', run(8)));
    keepRun(path, kept('app-kill', run(9), { commit: 'b'.repeat(40) }));
    keepRun(path, kept('sentinel-kill', run(0)));
    const plan = planRuns({ repeat: 3, runs: path }, environment, drill, ['app-kill', 'app-stop'], log);
    expect([plan.before('app-kill'), plan.before('app-stop'), plan.repeat]).toEqual([1, 0, 3]);
    plan.keep('app-stop', run(7));
    expect(readRuns(path).at(-1)).toMatchObject({ scenario: 'app-stop', ...drill, environment: 'lab', budgetMs: 300 });
    const runs = withEarlier(plan, new Map([['app-kill', [run(10)]]]));
    expect(runs.get('app-kill')?.map((each) => each.recoveryMs)).toEqual([8, 10]);
    expect(runs.get('app-stop')).toEqual([]);
  });

  test('counts nothing from before when no number is asked for', () => {
    keepRun(path, kept('app-kill', run(8)));
    const plan = planRuns({ repeat: undefined, runs: path }, environment, drill, ['app-kill'], log);
    expect([plan.before('app-kill'), plan.repeat, plan.earlier]).toEqual([0, 1, []]);
  });

  test('counts nothing from before when the commit is unknown: it may have been another', () => {
    const unknown = { ...drill, commit: null };
    keepRun(path, kept('app-kill', run(8), unknown));
    const plan = planRuns({ repeat: 3, runs: path }, environment, unknown, ['app-kill'], log);
    expect([plan.before('app-kill'), plan.repeat, plan.earlier]).toEqual([0, 3, []]);
  });
});

describe('the summary of the runs', () => {
  test('has percentiles, sums, and the phase that is too long where the budget was missed', () => {
    const slow = run(1500, { ok: false, reason: 'recovery took 1,500 ms, the budget is 1,200 ms', falseFailovers: 1 });
    const over = kept('redis-primary-kill', { ...slow, failedRequests: 2, lostWrites: 3 });
    const text = summaryOfRuns([kept('redis-primary-kill', run(900)), over, kept('app-kill', run(8))]);
    const lines = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(lines[1]).toEqual(['ok', 'app-kill', '1', '8', '8', '8', '1,200', '0', '0', '0']);
    const phase = '1 of 2 over: until all clients back 1,100 ms';
    expect(lines[2]).toEqual([
      'RED',
      'redis-primary-kill',
      '2',
      '900',
      '1,500',
      '1,500',
      '1,200',
      '2',
      '3',
      '1',
      phase,
    ]);
    expect(lines[3]).toEqual(['all', '3', '2', '3', '1']);
  });

  test('says why a run in budget is red, and that there is none', () => {
    const red = run(100, { ok: false, reason: '3 acknowledged writes lost' });
    expect(summaryOfRuns([kept('app-kill', red)])).toContain('1 red: 3 acknowledged writes lost');
    expect(summaryOfRuns([])).toContain('No run');
  });
});
