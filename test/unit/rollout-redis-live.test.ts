import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { notInstalled } from '../host/tools.mjs';

const missing = notInstalled(['redis-server', 'redis-cli']);

let folder: string;
let port: number;
let server: ReturnType<typeof spawn> | undefined;
const at = (name: string) => join(folder, name);

/** A Redis with its own file and ours read after it, as the unit starts it, and the node's scripts beside it. */
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-live-'));
  port = await freePort();
  for (const name of ['node', 'etc/redis', 'state/running', 'bin', 'data']) mkdirSync(at(name), { recursive: true });
  for (const name of readdirSync('actions/rollout/node')) {
    const text = readFileSync(`actions/rollout/node/${name}`, 'utf8')
      .replaceAll('/var/lib/firedrill', at('state'))
      .replaceAll('/etc/redis/', at('etc/redis/'));
    writeFileSync(at(`node/${name}`), text);
  }
  // Stops and starts nothing: the test does.
  writeFileSync(at('bin/systemctl'), '#!/bin/sh\nexit 0\n', { mode: 0o755 });
  writeFileSync(at('etc/redis/redis.conf'), `dir ${at('data')}\n`);
});

afterEach(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function start(): Promise<void> {
  const files = [at('etc/redis/redis.conf'), '--include', at('etc/redis/firedrill.conf')];
  server = spawn('redis-server', files, { stdio: 'ignore' });
  for (let tries = 0; tries < 100 && redis('PING') !== 'PONG'; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

async function stop(): Promise<void> {
  if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
  server.kill('SIGKILL');
  await once(server, 'exit');
}

function redis(...words: string[]): string {
  const { stdout } = spawnSync('redis-cli', ['-p', String(port), '--no-auth-warning', '-a', 'word', ...words], {
    encoding: 'utf8',
    timeout: 5000,
  });
  return stdout.trim();
}

const value = (name: string) => redis('CONFIG', 'GET', name).split('\n')[1] ?? '';

/** A release of this name whose firedrill.conf has these lines; it lies in etc/redis too. */
function place(name: string, ...lines: string[]): void {
  const text = [`port ${port}`, 'bind 127.0.0.1', 'requirepass word', 'save ""', ...lines, ''].join('\n');
  mkdirSync(join(at(`state/releases/${name}/files`), at('etc/redis')), { recursive: true });
  writeFileSync(join(at(`state/releases/${name}/files`), at('etc/redis/firedrill.conf')), text);
  writeFileSync(at('etc/redis/firedrill.conf'), text);
}

/** `act redis-server HOW` on the way from one release to another. */
function act(how: string, from: string, to: string): { code: number | null; out: string } {
  const parts = ['lib', 'units'].map((name) => `. "${at(`node/${name}.sh`)}"`);
  const releases = `release=$state/releases/${to} leaving=$state/releases/${from}`;
  const script = `set -eu; here=${at('node')}; ${parts.join('; ')}; ${releases}; act redis-server ${how}`;
  const env = { ...process.env, PATH: `${at('bin')}:${process.env.PATH}` };
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 20_000, env });
  return { code: status, out: stdout + stderr };
}

/** What a failover does to redis.conf, and then the unit starts again. */
async function failOverAndRestart(): Promise<void> {
  expect(redis('REPLICAOF', '127.0.0.1', '1')).toBe('OK');
  expect(redis('REPLICAOF', 'NO', 'ONE')).toBe('OK');
  expect(redis('CONFIG', 'REWRITE')).toBe('OK');
  await stop();
  await start();
}

describe('a setting of Redis', () => {
  beforeEach(async ({ skip }) => {
    if (missing !== undefined) skip(missing);
    place('old', 'repl-backlog-size 2mb', 'maxmemory-samples 7', 'maxclients 100');
    writeFileSync(at('state/running/redis-server'), 'old\n');
    await start();
    expect(redis('CONFIG', 'REWRITE')).toBe('OK');
  });

  it('that was changed live holds after a failover and a restart', async () => {
    place('new', 'repl-backlog-size 3mb', 'maxmemory-samples 7', 'maxclients 100');
    expect(act('live', 'old', 'new')).toEqual({ code: 0, out: '' });
    expect(value('repl-backlog-size')).toBe('3145728');
    await failOverAndRestart();
    expect(value('repl-backlog-size')).toBe('3145728');
  });

  it('that was taken out goes back to Redis’ default live, and stays so after a failover and a restart', async () => {
    place('new', 'repl-backlog-size 2mb', 'maxclients 100');
    expect(act('live', 'old', 'new')).toEqual({ code: 0, out: '' });
    expect(value('maxmemory-samples')).toBe('5');
    await failOverAndRestart();
    expect(value('maxmemory-samples')).toBe('5');
    expect(value('repl-backlog-size')).toBe('2097152');
  });

  it('that was taken out does not live on in redis.conf when Redis is restarted instead', async () => {
    expect(readFileSync(at('etc/redis/redis.conf'), 'utf8')).toContain('maxmemory-samples 7');
    place('new', 'repl-backlog-size 2mb', 'maxclients 100');
    await stop();
    expect(act('restart', 'old', 'new')).toEqual({ code: 0, out: '' });
    await start();
    expect(value('maxmemory-samples')).toBe('5');
  });

  it('that was changed live is taken back live, whatever is noted', () => {
    place('new', 'repl-backlog-size 3mb', 'maxmemory-samples 7', 'maxclients 100', 'hz 20');
    expect(act('live', 'old', 'new').code).toBe(0);
    place('old', 'repl-backlog-size 2mb', 'maxmemory-samples 7', 'maxclients 100');
    expect(act('live', 'new', 'old')).toEqual({ code: 0, out: '' });
    expect([value('repl-backlog-size'), value('hz')]).toEqual(['2097152', '10']);
  });

  it('without a default is said, and nothing is changed', () => {
    place('new', 'repl-backlog-size 3mb', 'maxmemory-samples 7', 'maxclients 100');
    const old = join(at('state/releases/old/files'), at('etc/redis/firedrill.conf'));
    writeFileSync(old, `${readFileSync(old, 'utf8')}rename-command FLUSHALL none\n`);
    expect(act('live', 'old', 'new')).toEqual({ code: 1, out: 'Redis has no default for rename-command\n' });
    expect(value('repl-backlog-size')).toBe('2097152');
  });
});
