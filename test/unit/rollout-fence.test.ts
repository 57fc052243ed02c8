import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { releaseOf } from './rollout-fixture.ts';

const own = '198.18.0.11';
const other = '198.18.0.12';
const sentinels = ['198.18.0.21', '198.18.0.22', '198.18.0.23'] as const;
const refused = 'Could not connect to Redis: Connection refused';

/** Stands in for redis-cli: answers from the file named as the Sentinel's address, and notes its arguments and its password. */
const redisCli = `#!/bin/sh
here=$(dirname "$0")
echo "$* / $REDISCLI_AUTH" >>"$here/asked"
cat >>"$here/commands"
. "$here/$2"
`;

let folder: string;
let config: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-fence-'));
  config = join(folder, 'redis.conf');
  for (const each of ['bin', 'run', 'sbin', 'lib']) mkdirSync(join(folder, each));
  writeFileSync(join(folder, 'bin/redis-cli'), redisCli, { mode: 0o755 });
  for (const file of releaseOf('redis-1').files) {
    const name = /(firedrill-redis-fence.conf|(sbin|lib)\/firedrill-redis-(fence|lib).*)$/.exec(file.path)?.[0];
    const text = file.content
      .toString('utf8')
      .replace('/etc/redis/redis.conf', config)
      .replace('state /run/firedrill-redis', `state ${folder}/run`);
    if (name !== undefined) writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Shell that answers as a Sentinel does that takes this node for the primary since this epoch. */
function answer(address: string, epoch = 1): string {
  const lines = [address, '6379', 'name', 'mymaster', 'ip', address, 'port', '6379', 'config-epoch', String(epoch)];
  return `printf '%s\\n' ${lines.join(' ')} quorum 2`;
}

function refusing(): string {
  return `echo '${refused}' >&2; exit 1`;
}

/** Runs the fence with these Sentinels and this redis.conf; gives what it said, what redis.conf says then, and how long it took. */
function fence(
  answers: readonly string[],
  before = 'dir /var/lib/redis\n',
  leaves?: readonly string[],
): { said: string; conf: string; ms: number } {
  sentinels.forEach((address, index) => {
    writeFileSync(join(folder, 'bin', address), answers[index] ?? refusing());
  });
  writeFileSync(config, before);
  chmodSync(config, 0o640);
  const begun = performance.now();
  const { status, stdout, stderr } = spawnSync(
    join(folder, 'sbin/firedrill-redis-fence'),
    [join(folder, 'firedrill-redis-fence.conf')],
    { encoding: 'utf8', timeout: 15_000, env: { PATH: `${folder}/bin:${process.env.PATH}` } },
  );
  const ms = performance.now() - begun;
  expect(status).toBe(0);
  expect(readdirSync(join(folder, 'run')).sort()).toEqual([...(leaves ?? []), 'lock', 'passed'].sort());
  return { said: stdout + stderr, conf: readFileSync(config, 'utf8'), ms };
}

describe('the fenced start', () => {
  it('makes an old primary a replica of the one that the Sentinels name, in a file of the same mode', () => {
    const { said, conf } = fence([answer(other), answer(other), answer(other)]);
    expect(said).toBe(
      `fence: the primary is ${other} 6379 (3 of 3 Sentinels say so); redis.conf said primary, Redis starts as a replica\n`,
    );
    expect(conf).toBe(`dir /var/lib/redis\nreplicaof ${other} 6379\n`);
    expect(statSync(config).mode & 0o777).toBe(0o640);
  });

  it('leaves one replicaof, whatever was there', () => {
    const before = `REPLICAOF 1.1.1.1 6379\n# replicaof\n  slaveof ${other} 6379\nport 1\n`;
    const { conf } = fence([answer('198.18.0.13'), answer('198.18.0.13'), refusing()], before);
    expect(conf).toBe('# replicaof\nport 1\nreplicaof 198.18.0.13 6379\n');
  });

  it.each([
    ['a primary', 'port 1\n', own],
    ['a replica of the right one', `replicaof ${other} 6379\nport 1\n`, other],
  ])('leaves the file of %s alone', (_, before, primary) => {
    const { conf, said } = fence([answer(primary), answer(primary), answer(primary)], before);
    expect(conf).toBe(before);
    expect(said).toContain('3 of 3 Sentinels say so');
  });

  describe('of a Redis that could not read its data', () => {
    const data = () => join(folder, 'data');
    const replica = () => `dir "${data()}"\nreplicaof ${other} 6379\n`;

    function refused(checkerEnds: number): void {
      mkdirSync(join(data(), 'appendonlydir'), { recursive: true });
      writeFileSync(join(data(), 'appendonlydir/appendonly.aof.manifest'), 'x');
      writeFileSync(join(folder, 'bin/redis-check-aof'), `#!/bin/sh\nexit ${checkerEnds}\n`, { mode: 0o755 });
      writeFileSync(join(folder, 'run/refused'), '');
    }

    it('sets the append-only file of a replica aside when it is broken', () => {
      refused(1);
      const { said } = fence([answer(other), answer(other), answer(other)], replica());
      expect(said).toContain(`which is now ${data()}/appendonlydir.broken; this replica copies all from ${other} 6379`);
      expect(readdirSync(data())).toEqual(['appendonlydir.broken']);
    });

    it.each([
      ['when the file is well', 0, other],
      ['when nobody knows', 124, other],
      ['of a primary', 1, own],
    ])('leaves it %s', (_, checkerEnds, primary) => {
      refused(checkerEnds);
      fence([answer(primary), answer(primary), answer(primary)], replica());
      expect(readdirSync(data())).toEqual(['appendonlydir']);
    });

    it('leaves it when no quorum says who is primary', () => {
      refused(1);
      fence([answer(other, 2), answer(own), answer(own)], replica());
      expect(readdirSync(data())).toEqual(['appendonlydir']);
    });
  });

  it('makes a replica the primary only if a quorum says so', () => {
    const before = `replicaof ${other} 6379\n`;
    expect(fence([answer(own, 2), answer(own, 2), refusing()], before).conf).toBe('');
    expect(fence([answer(own), answer(own), refusing()], `replicaof ${own} 6379\n`).conf).toBe('');
    expect(fence([answer(own, 2), answer(other, 1), answer(other, 1)], before).conf).toBe(before);
  });

  it('believes the newest configuration: the leader of a failover knows of it before the others', () => {
    expect(fence([answer(own, 9), answer(own, 9), answer(other, 10)]).conf).toContain(`replicaof ${other} 6379`);
    expect(fence([answer(own, 10), answer(own, 10), answer(other, 9)]).conf).not.toContain('replicaof');
  });

  it.each([
    ['too few answer', [answer(other), refusing(), refusing()]],
    ['two say otherwise of one configuration', [answer(other), answer(own), answer(own)]],
    ['nobody is there', [refusing(), refusing(), refusing()]],
    ['the password is wrong', Array(3).fill('echo NOAUTH Authentication required.')],
    ['the Sentinels watch nothing yet', Array(3).fill('echo; echo ERR No such master with that name')],
  ])('starts as redis.conf says when %s', (_, answers) => {
    const { conf, said } = fence(answers);
    expect(conf).toBe('dir /var/lib/redis\n');
    expect(said).toMatch(
      /^fence: ([01] of 3 Sentinels answer|the Sentinels disagree); Redis starts as redis.conf says \(primary\)\n$/,
    );
  });

  it('does not wait for a Sentinel that hangs when the others agree, and not past its time when they do not', () => {
    const hangs = 'exec sleep 5';
    expect(fence([hangs, answer(other), answer(other)]).ms).toBeLessThan(900);
    const alone = fence([hangs, hangs, answer(other)]);
    expect(alone.ms).toBeLessThan(2500);
    expect(alone.conf).not.toContain('replicaof');
  });

  it('waits for a network that is not up yet', () => {
    const late = `[ $(grep -c "$2" "$here/asked") -gt 1 ] || { echo 'Could not connect: Network is unreachable' >&2; exit 1; }`;
    const { conf } = fence(Array(3).fill(`${late}\n${answer(other)}`));
    expect(conf).toContain(`replicaof ${other} 6379`);
  });

  it('waits for a failover that has begun, within its time', () => {
    const failing = `printf '%s\\n' ${own} 6379 flags master,o_down,failover_in_progress config-epoch 1`;
    const then = `[ $(grep -c "$2" "$here/asked") -gt 1 ] || { ${failing}; exit; }`;
    const { conf, ms } = fence(Array(3).fill(`${then}\n${answer(other, 2)}`));
    expect(conf).toContain(`replicaof ${other} 6379`);
    expect(ms).toBeLessThan(900);
    expect(fence(Array(3).fill(failing)).conf).toBe('dir /var/lib/redis\n');
  });

  it('stays a replica after a handover that the Sentinels have not heard of', () => {
    const before = `replicaof ${other} 6379\n`;
    writeFileSync(join(folder, 'run/handed'), '4\n');
    const stale = fence([answer(own, 4), answer(own, 4), answer(own, 4)], before, ['handed']);
    expect(stale.said).toBe(
      `fence: this node handed over to ${other} 6379, and the Sentinels do not know yet; Redis starts as a replica\n`,
    );
    expect(stale.conf).toBe(before);
    expect(fence([answer(own, 5), answer(own, 5), answer(own, 5)], before).conf).toBe('');
  });

  it('waits for a hand-off that is due, and for no other', () => {
    writeFileSync(join(folder, 'run/died'), `${Date.now()}\n`);
    const handOff = spawn('sh', ['-c', 'sleep 0.3; rm died'], { cwd: join(folder, 'run') });
    expect(fence([answer(own), answer(own), answer(own)]).ms).toBeGreaterThan(250);
    handOff.unref();
    writeFileSync(join(folder, 'run/died'), `${Date.now() + 60_000}\n`);
    expect(fence([answer(own), answer(own), answer(own)], undefined, ['died']).ms).toBeLessThan(900);
  });

  it('waits for a hand-off that works', () => {
    const lock = join(folder, 'run/lock');
    const handOff = spawn('flock', [lock, 'sh', '-c', `printf 'replicaof ${other} 6379\\n' >${config}; sleep 0.4`]);
    spawnSync('sleep', ['0.1']);
    const { ms } = fence([answer(own), answer(own), answer(own)]);
    expect(ms).toBeGreaterThan(200);
    handOff.unref();
  });

  it('never keeps Redis from starting', () => {
    const script = join(folder, 'sbin/firedrill-redis-fence');
    const settings = join(folder, 'firedrill-redis-fence.conf');
    const empty = join(folder, 'empty');
    writeFileSync(empty, '');
    const env = { PATH: process.env.PATH };
    rmSync(join(folder, 'run'), { recursive: true });
    for (const file of [settings, empty, join(folder, 'missing')]) {
      const { status, stdout } = spawnSync(script, [file], { encoding: 'utf8', timeout: 10_000, env });
      expect(stdout).toMatch(/^fence: failed \(\d+\); Redis starts as redis.conf says\n$/);
      expect(status).toBe(0);
    }
  });

  it('keeps the password off every command line and out of what it says', () => {
    const { said } = fence([answer(other), answer(other), answer(other)]);
    const asked = readFileSync(join(folder, 'bin/asked'), 'utf8').trim().split('\n').sort();
    expect(asked).toEqual(sentinels.map((address) => `-h ${address} -p 26379 / sentinel-password`));
    expect(said).not.toContain('sentinel-password');
    const secret = releaseOf('redis-1').files.find((file) => file.path.endsWith('fence.conf'));
    expect(secret).toMatchObject({ mode: '0640', owner: 'root', group: 'redis' });
  });
});
