import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { releaseOf } from './rollout-fixture.ts';

const [own, primary] = ['198.18.0.11', '198.18.0.12'];

/** Stands in for redis-cli: notes what it was asked, and answers by the shell file of the address; commands by `set`. */
const redisCli = `#!/bin/sh
here=$(dirname "$0")
said=$(cat)
echo "$2 $said" >>"$here/asked"
case $said in CONFIG*) . "$here/set" ;; *) . "$here/$2" ;; esac
`;

let folder: string;
let script: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-rejoin-'));
  for (const each of ['bin', 'sbin', 'lib']) mkdirSync(join(folder, each));
  writeFileSync(join(folder, 'bin/redis-cli'), redisCli, { mode: 0o755 });
  for (const file of releaseOf('redis-1').files) {
    const name = /(firedrill-redis-fence.conf|(sbin|lib)\/firedrill-redis-(rejoin|lib).*)$/.exec(file.path)?.[0];
    // Quicker than on a node.
    const text = file.content
      .toString('utf8')
      .replace('sleep 0.25', 'sleep 0.02')
      .replace('earned_ms=3000', 'earned_ms=100')
      .replace('gone_ms=30000', 'gone_ms=300');
    if (name !== undefined) writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
  answers('set', 'echo OK');
  answers(primary, "echo 'role:master'; echo 'master_repl_offset:7'");
});

afterEach(async () => {
  const running = script;
  script = undefined;
  if (running?.exitCode === null && running.pid !== undefined) {
    process.kill(-running.pid, 'SIGKILL');
    await new Promise((resolve) => running.once('close', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

function answers(address: string, shell: string): void {
  writeFileSync(join(folder, 'bin', `${address}.new`), `${shell}\n`);
  renameSync(join(folder, 'bin', `${address}.new`), join(folder, 'bin', address));
}

const keepsUp = `printf '%s\\n' role:slave master_host:${primary} master_port:6379 master_link_status:up slave_repl_offset:7 replica_announced:1`;

const asked = (): string[] =>
  existsSync(join(folder, 'bin/asked')) ? readFileSync(join(folder, 'bin/asked'), 'utf8').split('\n') : [];
const sets = (): string[] => asked().filter((line) => line.includes('CONFIG SET replica-priority 100'));

function begin(): void {
  script = spawn(join(folder, 'sbin/firedrill-redis-rejoin'), [join(folder, 'firedrill-redis-fence.conf')], {
    env: { PATH: `${folder}/bin:${process.env.PATH}` },
    detached: true,
  });
}

const ended = async () =>
  await until(async () => script?.exitCode ?? undefined, { timeoutMs: 8000, intervalMs: 10, what: 'its end' });
const longerThanGone = async () => await new Promise((resolve) => setTimeout(resolve, 1500));

describe('the way back into the election', () => {
  it('is open to a Redis that keeps up', async () => {
    answers(own, keepsUp);
    begin();
    expect(await ended()).toBe(0);
    expect(sets()).toHaveLength(1);
  });

  it('ends when Redis was stopped', async () => {
    answers(own, "echo 'Could not connect to Redis: Connection refused'");
    begin();
    expect(await ended()).toBe(0);
    expect(sets()).toEqual([]);
  });

  it('is open still to one that was frozen for long', async () => {
    answers(own, 'exec sleep 5');
    begin();
    await longerThanGone();
    answers(own, keepsUp);
    expect(await ended()).toBe(0);
    expect(sets()).toHaveLength(1);
  });

  it('is tried again by its unit when Redis refuses', async () => {
    answers(own, keepsUp);
    answers('set', "echo 'BUSY Redis is busy running a script.'");
    begin();
    expect(await ended()).toBe(1);
    const unit = releaseOf('redis-1').files.find((file) => file.path.endsWith('/firedrill-redis-rejoin.service'));
    expect(unit?.content.toString('utf8')).toContain('Restart=on-failure');
  });
});
