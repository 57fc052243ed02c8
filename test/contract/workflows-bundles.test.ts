import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const actions = readdirSync('actions').filter((name) => existsSync(`actions/${name}/index.ts`));
const folder = mkdtempSync(join(tmpdir(), 'bundles-'));

beforeAll(() => void execFileSync(process.execPath, ['actions/bundle.mjs'], { timeout: 60_000 }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The bundle as the runner starts it, in an empty workspace. */
function start(name: string): { code: number | null; output: string } {
  const files = Object.fromEntries(
    ['GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_STEP_SUMMARY'].map((variable) => [variable, join(folder, variable)]),
  );
  for (const file of Object.values(files)) writeFileSync(file, '');
  const env = { PATH: process.env.PATH, RUNNER_TEMP: folder, GITHUB_REPOSITORY: 'owner/repo', ...files };
  const result = spawnSync(process.execPath, [resolve(`actions/${name}/dist/index.js`)], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return { code: result.status, output: result.stdout + result.stderr };
}

describe.each(actions)('the bundle of actions/%s', (name) => {
  it('starts under Node 24, and without its inputs fails with one error that says what is missing', () => {
    expect(process.version).toMatch(/^v24\./);
    const { code, output } = start(name);
    expect(code, output).toBe(1);
    expect(output).toMatch(/^::error/m);
    expect(output, 'no crash').not.toMatch(/^\s+at .*dist\/index\.js|ERR_|Dynamic require/m);
  });
});
