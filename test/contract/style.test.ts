import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { notInstalled } from '../host/tools.mjs';

/** Runs a checker; what it prints is the failure's text. */
function check(command: string, ...args: string[]): void {
  try {
    execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', timeout: 120_000 });
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(' ')}\n${stdout}${stderr}`);
  }
}

function tracked(pattern: string): string[] {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', pattern], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '');
}

describe('the code', () => {
  it('is formatted and free of lint', () => check('node_modules/.bin/biome', 'check', '.'));
  it('type checks', () => check('node_modules/.bin/tsc', '--noEmit'));

  it('has shell that shellcheck accepts as POSIX sh', ({ skip }) => {
    const missing = notInstalled(['shellcheck']);
    if (missing !== undefined) skip(missing);
    const scripts = tracked('*.sh');
    expect(scripts.length).toBeGreaterThan(0);
    check('shellcheck', '-s', 'sh', ...scripts);
  });

  it("imports from its own action's folder and from core, never from another action's", () => {
    const actions = readdirSync('actions', { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
    for (const file of tracked('actions/**/*.ts')) {
      const own = file.split('/')[1];
      const imports = [...readFileSync(file, 'utf8').matchAll(/from '(\.\.[^']*)'/g)].map((match) => match[1] ?? '');
      for (const target of imports) {
        const resolved = new URL(target, `file:///${file}`).pathname.split('/');
        const other = resolved[2] ?? '';
        if (resolved[1] === 'actions' && actions.includes(other))
          expect([own, 'core'], `${file} imports ${target}`).toContain(other);
      }
    }
  });
});
