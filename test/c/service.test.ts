import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ensureBuildRoot, runInBuildRoot } from '../lab/machines/build-root.ts';
import type { Lab } from '../lab/machines/lab.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { sweep } from '../lab/machines/sweep.ts';
import { cacheDir, clone } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';

/** The C service's own suites, in the distribution that the nodes run. A lab of its own, so that it runs beside another. */

const lab: Lab = { name: 'firedrill-c', stateDir: '/var/tmp/firedrill-c', cacheDir };
const missing = await preflight(lab);
const skipReason =
  missing.length === 0
    ? undefined
    : `the Debian 13 build root needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;

let root = '';
let source = '';

beforeAll(async () => {
  if (skipReason !== undefined) return;
  root = await ensureBuildRoot(cacheDir, packagesOf(clone), console.log);
  source = mkdtempSync('/var/tmp/firedrill-c-app-');
  cpSync(join(clone, 'c-app'), source, { recursive: true, filter: (path) => !/\/build[^/]*$/.test(path) });
});
beforeEach(({ skip }) => {
  if (skipReason !== undefined) skip(skipReason);
});
afterAll(async () => {
  if (source !== '') rmSync(source, { recursive: true, force: true });
  if (skipReason === undefined) await sweep(lab);
});

async function make(...targets: string[]): Promise<{ code: number; output: string }> {
  const lines: string[] = [];
  const code = await runInBuildRoot(lab, {
    root,
    binds: [{ source, target: '/c-app' }],
    cwd: '/c-app',
    env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin', HOME: '/tmp', LANG: 'C.UTF-8' },
    argv: ['make', ...targets],
    timeoutMs: 400_000,
    onLine: (line) => lines.push(line),
  });
  return { code, output: lines.join('\n') };
}

describe('the C service', () => {
  test('passes its cmocka suites under the address and undefined behaviour sanitizers', async () => {
    const { code, output } = await make('test');
    expect(code, output).toBe(0);
    expect(output).toMatch(/\[ {2}PASSED {2}\] \d+ test/);
  });

  test('answers again by itself after its primary was killed, hung or handed over, and loses no acknowledged write', async () => {
    const { code, output } = await make('test-integration');
    expect(code, output).toBe(0);
  });

  test('is a small, hardened, stripped binary without third-party source', async () => {
    const { code, output } = await make('BUILD=build-release');
    expect(code, output).toBe(0);
    const binary = readFileSync(join(source, 'build-release/sessiond'));
    expect(binary.subarray(0, 4).toString('latin1')).toBe('\x7fELF');
    // Position independent: ET_DYN.
    expect(binary.readUInt16LE(16)).toBe(3);
    expect(binary.length).toBeLessThan(200_000);
  });
});
