import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CaseRun, keepCase } from '../faults/record.ts';

const run = (name: string, more: Partial<CaseRun> = {}): CaseRun => ({
  name,
  ok: true,
  told: ['the next run repaired it'],
  broken: [],
  requests: 100,
  failed: 0,
  lost: 0,
  longestMs: 20,
  seconds: 30,
  ...more,
});

test('cases that ran one by one are one table, with all runs of each and what the last of them did', () => {
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-cases-'));
  const path = join(folder, 'out', 'faults');
  try {
    keepCase(
      path,
      run('the disk is full', { ok: false, failed: 2, lost: 1, broken: ['GET: 503 | late'], longestMs: 900 }),
    );
    keepCase(path, run('a reboot'));
    expect(readFileSync(`${path}.md`, 'utf8')).toContain(
      '| 2 cases | 1 RED | 1 of 2 | 200 | 2 | 1 | 900 ms | 60 s |  |',
    );
    keepCase(path, run('the disk is full'));
    const lines = readFileSync(`${path}.md`, 'utf8').trimEnd().split('\n').slice(2);
    expect(lines).toEqual([
      '| a reboot | ok | 1 of 1 | 100 | 0 | 0 | 20 ms | 30 s | the next run repaired it |',
      '| the disk is full | ok | 1 of 2 | 200 | 2 | 1 | 900 ms | 60 s | the next run repaired it |',
      '| 2 cases | ok | 2 of 3 | 300 | 2 | 1 | 900 ms | 90 s |  |',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
