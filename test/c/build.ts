import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { ensureBuildRoot, runInBuildRoot } from '../lab/machines/build-root.ts';
import type { Lab } from '../lab/machines/lab.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { sweep } from '../lab/machines/sweep.ts';
import { cacheDir, clone } from '../lab/paths.ts';
import { packagesOf } from '../lab/prepare.ts';

export interface Build {
  /** A copy of c-app/, in which make runs. */
  readonly source: string;
  /** Runs `make TARGETS`; its exit code, and what it wrote. Rejects when it takes longer than 400 s. */
  make(...targets: string[]): Promise<{ code: number; output: string }>;
}

/**
 * For one test file: a copy of the C service in the distribution that the nodes run, with the packages of `depsFiles` (of c-app/).
 * The lab is one of this name, so that it runs beside others. Where machines can't be run the file's tests are skipped.
 */
export async function buildFor(name: string, depsFiles: readonly string[]): Promise<Build> {
  const lab: Lab = { name, stateDir: `/var/tmp/${name}`, cacheDir };
  const missing = await preflight(lab);
  const skipReason =
    missing.length === 0
      ? undefined
      : `the Debian 13 build root needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;
  let root = '';
  let source = '';
  beforeAll(async () => {
    if (skipReason !== undefined) return;
    root = await ensureBuildRoot(cacheDir, packagesOf(clone, depsFiles), console.log);
    source = mkdtempSync(`/var/tmp/${name}-app-`);
    cpSync(join(clone, 'c-app'), source, { recursive: true, filter: (path) => !/\/build[^/]*$/.test(path) });
  });
  beforeEach(({ skip }) => {
    if (skipReason !== undefined) skip(skipReason);
  });
  afterAll(async () => {
    if (source !== '') rmSync(source, { recursive: true, force: true });
    if (skipReason === undefined) await sweep(lab);
  });
  return {
    get source() {
      return source;
    },
    async make(...targets) {
      const lines: string[] = [];
      const code = await runInBuildRoot(lab, {
        root,
        binds: [{ source, target: '/c-app' }],
        cwd: '/c-app',
        env: { PATH: '/usr/bin:/usr/sbin:/bin:/sbin', HOME: '/tmp', LANG: 'C.UTF-8' },
        argv: ['make', ...targets],
        timeoutMs: 1_500_000,
        onLine: (line) => lines.push(line),
      });
      return { code, output: lines.join('\n') };
    },
  };
}
