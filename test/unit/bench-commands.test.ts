import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { scripts: Record<string, string> };
const benchmarks = Object.entries(scripts).flatMap(([name, command]) =>
  name.startsWith('bench:') ? [[name, command.replace(/^node /, '')] as const] : [],
);

describe('a benchmark', () => {
  test.each(benchmarks)('%s says how it is used before it does anything', (name, file) => {
    const usage = execFileSync(process.execPath, [file, '--help'], { cwd: root, encoding: 'utf8' });
    expect(usage.startsWith(`npm run ${name} `)).toBe(true);
  });

  test('says what is wrong with an option in a line, without a stack', () => {
    const [, file = ''] = benchmarks.find(([name]) => name === 'bench:failover') ?? [];
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [file, ...args], { cwd: root, encoding: 'utf8', timeout: 20_000 });
    expect(run('--nope')).toMatchObject({
      status: 1,
      stderr: "Unknown option '--nope'. --help says what there is\n",
    });
    expect(run('--faults', 'flood')).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^no fault flood\. Use some of kill,.*\n$/),
    });
  });
});
