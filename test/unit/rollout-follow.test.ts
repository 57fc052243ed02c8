import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { releaseOf } from './rollout-fixture.ts';

const [own, second, third] = ['198.18.0.11', '198.18.0.12', '198.18.0.13'];
const sentinels = ['198.18.0.21', '198.18.0.22', '198.18.0.23'];

/** Stands in for redis-cli: notes what an address was asked, and answers by the shell file of that name; commands are obeyed. */
const redisCli = `#!/bin/sh
here=$(dirname "$0")
said=$(cat)
printf '%s\n' "$said" | sed "s/^/$2 /" >>"$here/asked"
case $said in
  REPLICAOF* | CONFIG*) if [ -e "$here/$2.refuses" ]; then echo 'LOADING Redis is loading the dataset in memory'; else echo OK; fi ;;
  *) . "$here/$2" ;;
esac
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
    const text = file.content.toString('utf8').replace('well=2 unwell=0.5', 'well=0.1 unwell=0.05');
    if (name !== undefined) writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
  isPrimary(own);
  for (const each of [second, third]) follows(each, own);
});

afterEach(async () => {
  if (script.exitCode === null && script.pid !== undefined) {
    process.kill(-script.pid, 'SIGKILL');
    await new Promise((resolve) => script.once('close', resolve));
  }
  rmSync(folder, { recursive: true, force: true });
});

/** Shell that prints these lines. */
function print(lines: readonly string[]): string {
  return `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')}\n`;
}

/** From now on, whole or not at all. `more` is shell, run after the answer. */
function answers(address: string, lines: readonly string[], more = ''): void {
  const file = join(folder, 'bin', address);
  writeFileSync(`${file}.new`, `${print(lines)}${more}\n`);
  renameSync(`${file}.new`, file);
}

const asPrimary = (reign: number) => ['# Replication', 'role:master\r', `master_replid:${reign}\r`];

/** `reign`: the replication ID, another one after each promotion. */
function isPrimary(address: string, reign = 1): void {
  answers(address, asPrimary(reign));
}

function follows(address: string, primary: string, reign = 1): void {
  answers(address, ['role:slave\r', `master_host:${primary}\r`, 'master_port:6379\r', `master_replid:${reign}\r`]);
}

const silent = (address: string) => answers(address, ['Could not connect to Redis: Connection refused']);

/** These Sentinels name this primary since that configuration. */
function name(primary: string, epoch: number, among = sentinels, more = ''): void {
  const known = ['name', 'mymaster', 'ip', primary, 'runid', '', 'config-epoch', String(epoch), 'quorum', '2'];
  for (const each of among) answers(each, [...known, primary, '6379'], more);
}

const within = (what: string) => ({ timeoutMs: 8000, intervalMs: 10, what });

function asked(): string[] {
  return existsSync(join(folder, 'bin/asked')) ? readFileSync(join(folder, 'bin/asked'), 'utf8').split('\n') : [];
}

/** Until it has begun so many more rounds, so that those before are over, whatever they heard. */
async function rounds(count: number): Promise<void> {
  const begun = () => asked().filter((line) => line === `${own} INFO replication`).length;
  const goal = begun() + count;
  await until(async () => begun() >= goal || undefined, within('the questions'));
}

async function begun(): Promise<void> {
  script = spawn(join(folder, 'sbin/firedrill-redis-follow'), [join(folder, 'firedrill-redis-fence.conf')], {
    env: { PATH: `${folder}/bin:${process.env.PATH}` },
    detached: true,
  });
  script.stdout?.on('data', (text) => (said += text));
  script.stderr?.on('data', (text) => (said += text));
  await rounds(3);
}

const commands = () => asked().filter((line) => /REPLICAOF|CONFIG/.test(line));
const goesOver = async () => await until(async () => said.includes('follow: ') || undefined, within('it'));
const rejoins = () => said.split('rejoin is started').length - 1;

describe('a Redis that was cut off', () => {
  it('steps down when the Sentinels have replaced it, and earns its way back into the election', async () => {
    name(own, 1);
    await begun();
    for (const each of sentinels) silent(each);
    await rounds(4);
    silent(own);
    await rounds(2);
    isPrimary(second, 2);
    name(second, 2);
    isPrimary(own);
    await goesOver();
    expect(said).toContain(`replaced ${own}:6379 by ${second}:6379 meanwhile; this node follows it\n`);
    expect(commands().slice(0, 3)).toEqual([
      `${own} CONFIG SET replica-priority 0`,
      `${own} REPLICAOF ${second} 6379`,
      `${own} CONFIG REWRITE`,
    ]);
    await until(async () => rejoins() > 1 || undefined, within('the way back'));
  });

  it('leaves a primary that was replaced, may be promoted as before, and follows the next one too', async () => {
    follows(own, third);
    name(third, 1);
    await begun();
    isPrimary(second, 2);
    name(second, 2);
    await goesOver();
    follows(own, second, 2);
    await rounds(4);
    const once = [`${own} REPLICAOF ${second} 6379`, `${own} CONFIG REWRITE`];
    expect(commands().slice(0, 2)).toEqual(once);
    const before = commands().length;
    await rounds(3);
    expect(commands()).toHaveLength(before);
    isPrimary(third, 3);
    name(third, 3);
    await until(async () => commands().includes(`${own} REPLICAOF ${third} 6379`) || undefined, within('the next'));
    expect(rejoins()).toBe(1);
  });

  it('says nothing, and tries again, while Redis refuses', async () => {
    name(own, 1);
    await begun();
    writeFileSync(join(folder, `bin/${own}.refuses`), '');
    isPrimary(second, 2);
    name(second, 2);
    const tried = () => commands().filter((line) => line.includes('REPLICAOF')).length;
    await until(async () => tried() > 1 || undefined, within('two tries'));
    expect(said).not.toContain('follow: ');
    rmSync(join(folder, `bin/${own}.refuses`));
    await goesOver();
  });

  it('heeds Sentinels that were set up anew, whose configurations count from 0 again', async () => {
    name(own, 7);
    await begun();
    name(own, 0);
    await rounds(40);
    isPrimary(second, 2);
    name(second, 1);
    await goesOver();
  });
});

/** A replica of the second, as all Sentinels say. */
async function begunAsReplica(): Promise<void> {
  isPrimary(second);
  follows(own, second);
  name(second, 2);
  await begun();
}

/** Nothing has been done, and it would have been where a majority names a real primary. */
async function stayed(): Promise<void> {
  expect(commands()).toEqual([]);
  isPrimary(own, 9);
  name(own, 9);
  await rounds(4);
  isPrimary(second, 10);
  name(second, 10);
  await goesOver();
}

describe('a Redis stays what it is', () => {
  it('when it was just promoted, and no Sentinel says so yet', async () => {
    await begunAsReplica();
    isPrimary(own, 3);
    await rounds(8);
    await stayed();
  });

  it('when it is promoted while the Sentinels are asked', async () => {
    await begunAsReplica();
    writeFileSync(join(folder, 'bin/promoted'), print(asPrimary(3)));
    name(own, 3, sentinels, `cp "$here/promoted" "$here/${own}"`);
    await rounds(8);
    await stayed();
  });

  it('when it was just promoted, and a Sentinel that was cut off remembers a reign of before', async () => {
    await begunAsReplica();
    isPrimary(own, 3);
    name(own, 1, sentinels.slice(0, 1));
    await rounds(8);
    await stayed();
  });

  it('when it has asked nobody before its promotion, and only one that was cut off names it', async () => {
    isPrimary(second);
    name(own, 1, sentinels.slice(0, 1));
    name(second, 2, sentinels.slice(1));
    await begun();
    await rounds(8);
    await stayed();
  });

  it('when it was replaced and promoted again before anybody asked', async () => {
    name(own, 1);
    await begun();
    isPrimary(own, 3);
    isPrimary(second, 2);
    name(second, 2);
    await rounds(8);
    await stayed();
  });

  it('when only a minority says otherwise', async () => {
    name(own, 1);
    await begun();
    isPrimary(second, 2);
    name(second, 2, sentinels.slice(0, 1));
    await rounds(8);
    await stayed();
  });

  it('when whom the Sentinels name is no primary, or silent', async () => {
    name(own, 1);
    await begun();
    name(second, 2);
    await rounds(4);
    silent(second);
    await rounds(4);
    await stayed();
  });

  it('when nobody answers, and says nothing', async () => {
    silent(own);
    for (const each of sentinels) silent(each);
    await begun();
    await rounds(4);
    expect(script.exitCode).toBe(null);
    expect(said).toBe('rejoin is started\n');
    await stayed();
  });
});
