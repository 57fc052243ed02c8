import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { nodeScripts, planned } from './node-scripts.ts';

describe('a frozen machine', () => {
  const mount = spawnSync('findmnt', ['-n', '-t', 'cgroup2', '-o', 'TARGET'], { encoding: 'utf8' }).stdout ?? '';
  /** As the root of its groups: two with a process each, one of them a level below. */
  let root: string;
  let home: string;
  let frozen: ChildProcess[];

  beforeEach(({ skip }) => {
    if (mount === '') skip('needs control groups (version 2)');
    root = `${mount.split('\n')[0]}/firedrill-test-${process.pid}`;
    home = mkdtempSync(join(tmpdir(), 'firedrill-freeze-'));
    writeFileSync(join(home, 'findmnt'), `#!/bin/sh\necho ${root}\n`, { mode: 0o755 });
    frozen = [];
    try {
      for (const group of ['', '/one', '/two', '/two/below']) mkdirSync(`${root}${group}`);
    } catch (error) {
      skip(`needs control groups (version 2) that it may make: ${(error as Error).message}`);
    }
    frozen = ['one', 'two/below'].map((group) => {
      const child = spawn('sleep', ['60'], { stdio: 'ignore' });
      writeFileSync(`${root}/${group}/cgroup.procs`, String(child.pid));
      return child;
    });
  });
  afterEach(async () => {
    if (mount === '') return;
    writeFileSync(join(home, 'findmnt'), `#!/bin/sh\necho ${root}\n`, { mode: 0o755 });
    freeze('heal');
    await Promise.all(
      frozen.map((child) => {
        child.kill('SIGKILL');
        return once(child, 'exit');
      }),
    );
    for (const group of ['/two/below', '/two', '/one', ''])
      if (existsSync(`${root}${group}`)) rmdirSync(`${root}${group}`);
    rmSync(home, { recursive: true });
  });

  const freeze = (...args: string[]) =>
    spawnSync('sh', [`${nodeScripts}freeze.sh`, ...args], {
      env: { ...process.env, PATH: `${home}:${process.env.PATH}` },
      encoding: 'utf8',
    });
  const states = () =>
    ['one', 'two/below'].map(
      (group) => /frozen (\d)/.exec(readFileSync(`${root}/${group}/cgroup.events`, 'utf8'))?.[1],
    );
  const all = async (state: '0' | '1') => {
    const reached = async () => (states().every((each) => each === state) ? Date.now() : undefined);
    return await until(reached, { timeoutMs: 3000, intervalMs: 5, what: `all to be ${state}` });
  };
  const thawing = () => readFileSync(`${root}/firedrill-thaw/cgroup.procs`, 'utf8').trim().split('\n').map(Number);

  test('stands still from after the answer until its time is over', async () => {
    const { status, stdout } = freeze('freeze', '500');
    expect([status, states()]).toEqual([0, ['0', '0']]);
    const from = await all('1');
    expect(from - planned(stdout)).toBeLessThan(300);
    const to = await all('0');
    expect(to - from).toBeGreaterThan(450);
    expect(to - from).toBeLessThan(900);
    freeze('heal');
    expect(existsSync(`${root}/firedrill-thaw`)).toBe(false);
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)('is thawed at once when who is to thaw it gets %s', async (signal) => {
    freeze('freeze', '20000');
    await all('1');
    process.kill(Math.min(...thawing()), signal);
    await all('0');
  });

  test('is thawed by the undo, before it began and after, as often as one likes', async () => {
    freeze('freeze', '20000');
    freeze('heal');
    await sleep(200);
    expect(states()).toEqual(['0', '0']);
    freeze('freeze', '20000');
    await all('1');
    for (let count = 0; count < 3; count += 1) expect(freeze('heal').status).toBe(0);
    expect(states()).toEqual(['0', '0']);
    expect(existsSync(`${root}/firedrill-thaw`)).toBe(false);
  });

  test('is not begun where there is no freezer, and nothing is left to undo', () => {
    writeFileSync(join(home, 'findmnt'), `#!/bin/sh\necho ${home}\n`, { mode: 0o755 });
    const { status, stdout, stderr } = freeze('freeze', '500');
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toContain('no freezer');
    writeFileSync(join(home, 'findmnt'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    expect([freeze('freeze', '500').status, freeze('heal').status]).toEqual([3, 0]);
  });
});

describe('a paused unit', () => {
  test('stands still for so long, and goes on', async () => {
    const home = mkdtempSync(join(tmpdir(), 'firedrill-pause-'));
    const unit = spawn('sleep', ['60'], { stdio: 'ignore' });
    writeFileSync(join(home, 'systemctl'), `#!/bin/sh\necho ${unit.pid}\n`, { mode: 0o755 });
    const pause = (...args: string[]) =>
      spawnSync('sh', [`${nodeScripts}unit.sh`, 'pause', 'redis-sentinel', ...args], {
        env: { ...process.env, PATH: `${home}:${process.env.PATH}` },
        encoding: 'utf8',
      });
    const stopped = () => /^State:\s+T/m.test(readFileSync(`/proc/${unit.pid}/status`, 'utf8'));
    try {
      expect(pause('soon').stderr).toContain('not a number: soon');
      expect(stopped()).toBe(false);
      const from = planned(pause('450').stdout);
      expect(stopped()).toBe(true);
      await until(async () => (stopped() ? undefined : true), { timeoutMs: 3000, intervalMs: 5, what: 'it to go on' });
      expect(Date.now() - from).toBeGreaterThan(440);
      expect(Date.now() - from).toBeLessThan(900);
    } finally {
      unit.kill('SIGKILL');
      rmSync(home, { recursive: true });
    }
  });
});
