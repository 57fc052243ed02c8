import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { releaseOf } from './rollout-fixture.ts';

const [own, second, third] = ['198.18.0.11', '198.18.0.12', '198.18.0.13'];
const sentinels = ['198.18.0.21', '198.18.0.22', '198.18.0.23'];

/** Stands in for redis-cli: answers with the file named as the address, once it has noted what that was asked. */
const redisCli = `#!/bin/sh
here=$(dirname "$0")
sed "s/^/$2 /" >>"$here/asked"
cat "$here/$2"
`;

let folder: string;
let script: ChildProcess;
let said = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-follow-'));
  said = '';
  for (const each of ['bin', 'sbin', 'lib']) mkdirSync(join(folder, each));
  writeFileSync(join(folder, 'bin/redis-cli'), redisCli, { mode: 0o755 });
  writeFileSync(join(folder, 'sbin/firedrill-redis-rejoin'), '#!/bin/sh\necho "rejoin is started"\n', { mode: 0o755 });
  for (const file of releaseOf('redis-1').files) {
    const name = /(firedrill-redis-fence.conf|(sbin|lib)\/firedrill-redis-(follow|lib).*)$/.exec(file.path)?.[0];
    // Asks more often than on a node.
    const text = file.content.toString('utf8').replace('well=2 unwell=0.5', 'well=0.2 unwell=0.1');
    if (name !== undefined) writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
  answers(own, 'master');
  for (const each of [second, third]) answers(each, 'slave', own, '6379');
});

afterEach(async () => {
  if (script.exitCode === null) {
    script.kill('SIGKILL');
    await new Promise((resolve) => script.once('exit', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

function answers(address: string, ...lines: string[]): void {
  writeFileSync(join(folder, 'bin', address), lines.map((line) => `${line}\n`).join(''));
}

/** So many of the Sentinels name this primary since that configuration, the first ones; the others are as they were. */
function name(primary: string, epoch: number, count = 3): void {
  const known = ['name', 'mymaster', 'ip', primary, 'runid', '', 'config-epoch', String(epoch), 'quorum', '2'];
  for (const each of sentinels.slice(0, count)) answers(each, primary, '6379', ...known);
}

function start(): void {
  script = spawn(join(folder, 'sbin/firedrill-redis-follow'), [join(folder, 'firedrill-redis-fence.conf')], {
    env: { PATH: `${folder}/bin:${process.env.PATH}` },
  });
  script.stdout?.on('data', (text) => (said += text));
  script.stderr?.on('data', (text) => (said += text));
}

function asked(): string[] {
  return readFileSync(join(folder, 'bin/asked'), 'utf8').split('\n');
}

/** Until every Sentinel has been asked so many times more. */
async function rounds(count: number): Promise<void> {
  const lines = () => asked().filter((line) => line.includes('SENTINEL MASTER')).length;
  const goal = (script.pid === undefined ? 0 : lines()) + count * sentinels.length;
  await until(async () => lines() >= goal || undefined, { timeoutMs: 20_000, intervalMs: 50, what: 'the questions' });
}

async function begun(): Promise<void> {
  start();
  await until(async () => asked().length > 3 || undefined, { timeoutMs: 5000, intervalMs: 20, what: 'a question' });
}

const commands = () => asked().filter((line) => /REPLICAOF|CONFIG/.test(line));

describe('a Redis that was cut off', () => {
  it('steps down when the Sentinels have replaced it, and earns its way back into the election', async () => {
    name(own, 1);
    await begun();
    name(second, 2);
    answers(second, 'master');
    await until(async () => said.includes('follow: ') || undefined, { timeoutMs: 10_000, intervalMs: 20, what: 'it' });
    expect(said).toContain(`replaced ${own}:6379 by ${second}:6379 meanwhile; this node follows it\n`);
    expect(commands().slice(0, 3)).toEqual([
      `${own} CONFIG SET replica-priority 0`,
      `${own} REPLICAOF ${second} 6379`,
      `${own} CONFIG REWRITE`,
    ]);
    await until(async () => said.includes('rejoin is started') || undefined, {
      timeoutMs: 3000,
      intervalMs: 20,
      what: 'the way back',
    });
  });

  it('leaves a primary that was replaced, and may be promoted as before', async () => {
    answers(own, 'slave', third, '6379', 'connected', '1');
    name(third, 1);
    await begun();
    name(second, 2);
    answers(second, 'master');
    await until(async () => said.includes('follow: ') || undefined, { timeoutMs: 10_000, intervalMs: 20, what: 'it' });
    expect(commands().slice(0, 2)).toEqual([`${own} REPLICAOF ${second} 6379`, `${own} CONFIG REWRITE`]);
    expect(said).not.toContain('rejoin');
  });
});

describe('a Redis stays what it is', () => {
  it('when it was just promoted, and no Sentinel says so yet', async () => {
    answers(second, 'master');
    answers(own, 'slave', second, '6379', 'connected', '1');
    name(second, 2);
    await begun();
    answers(own, 'master');
    await rounds(2);
    expect(commands()).toEqual([]);
  });

  it('when it was just promoted, and a Sentinel that was cut off remembers a reign of before', async () => {
    answers(second, 'master');
    answers(own, 'slave', second, '6379', 'connected', '1');
    name(second, 2);
    await begun();
    await rounds(1);
    answers(own, 'master');
    name(own, 1, 1);
    await rounds(2);
    expect(commands()).toEqual([]);
  });

  it('when only a minority says otherwise', async () => {
    name(own, 1);
    await begun();
    name(second, 2, 1);
    answers(second, 'master');
    await rounds(2);
    expect(commands()).toEqual([]);
  });

  it('when whom the Sentinels name is no primary, or silent', async () => {
    name(own, 1);
    await begun();
    name(second, 2);
    await rounds(1);
    answers(second);
    await rounds(1);
    expect(commands()).toEqual([]);
  });

  it('when nobody answers, and says nothing', async () => {
    answers(own);
    for (const each of sentinels) answers(each, 'Could not connect to Redis: Connection refused');
    start();
    await sleep(500);
    expect([script.exitCode, said]).toEqual([null, '']);
  });
});
