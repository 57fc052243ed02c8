import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { releaseOf } from './rollout-fixture.ts';

/** Stands in for redis-cli: notes that it was asked, and what it was told; answers what the Sentinel would. */
const redisCli = `#!/bin/sh
here=$(dirname "$0")
said=$(cat)
case $said in
  'SENTINEL SET'*) echo "$said" >>"$here/set"; echo OK ;;
  *) echo >>"$here/asked"; cat "$here/answer" ;;
esac
`;

type Fields = Readonly<Record<string, string | number>>;

// Nobody could act for a minute after the primary's end; the Sentinels have been back for half of one.
const primary: Fields = {
  name: 'mymaster',
  runid: '',
  flags: 's_down,o_down,master',
  'last-ok-ping-reply': 30_850,
  's-down-time': 30_000,
  'down-after-milliseconds': 850,
};
const replica: Fields = {
  flags: 'slave',
  'info-refresh': 400,
  'master-link-down-time': 90_000,
  'slave-priority': 100,
  'slave-repl-offset': 5000,
};
/** A tenth of what the link was down before the Sentinels saw the primary down, and two seconds more. */
const enough = ['SENTINEL SET mymaster down-after-milliseconds 8000'];
const putBack = ['SENTINEL SET mymaster down-after-milliseconds 850'];

let folder: string;
let script: ChildProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-margin-'));
  mkdirSync(join(folder, 'bin'));
  writeFileSync(join(folder, 'bin/redis-cli'), redisCli, { mode: 0o755 });
  for (const file of releaseOf('sentinel-1').files) {
    const name = /firedrill-sentinel(-margin|\.conf|\.set)$/.exec(file.path)?.[0];
    // Asks more often than on a node.
    const text = file.content
      .toString('utf8')
      .replace('every_s=1', 'every_s=0.02')
      .replace(/after-milliseconds \d+/, 'after-milliseconds 850');
    if (name !== undefined) writeFileSync(join(folder, name), text, { mode: 0o755 });
  }
});

afterEach(async () => {
  if (script.pid !== undefined) process.kill(-script.pid, 'SIGKILL');
  await new Promise((resolve) => script.once('close', resolve));
  rmSync(folder, { recursive: true, force: true });
});

function answers(master: Fields, replicas: readonly Fields[]): void {
  const lines = [master, ...replicas.map((each, index) => ({ name: `replica-${index}`, ...each }))]
    .flatMap((fields) => Object.entries(fields).flat())
    .map(String);
  writeFileSync(join(folder, 'bin/answer.new'), `${lines.join('\n')}\n`);
  renameSync(join(folder, 'bin/answer.new'), join(folder, 'bin/answer'));
}

const read = (name: string): string[] =>
  existsSync(join(folder, 'bin', name))
    ? readFileSync(join(folder, 'bin', name), 'utf8')
        .split('\n')
        .slice(0, -1)
    : [];

/** What it has set, when it has judged what is answered now. */
async function sets(): Promise<string[]> {
  const goal = read('asked').length + 3;
  await until(async () => read('asked').length >= goal || undefined, {
    timeoutMs: 5000,
    intervalMs: 5,
    what: 'rounds',
  });
  return [...new Set(read('set'))];
}

async function judged(master: Fields, replicas: readonly Fields[]): Promise<string[]> {
  answers(master, replicas);
  script = spawn(join(folder, 'firedrill-sentinel-margin'), [folder], {
    env: { PATH: `${folder}/bin:${process.env.PATH}` },
    detached: true,
  });
  return await sets();
}

const wide: Fields = { ...primary, 'down-after-milliseconds': 8000 };

describe('firedrill-sentinel-margin', () => {
  it('widens down-after as far as the replica with the highest offset needs', async () => {
    const older = { ...replica, 'slave-repl-offset': 999, 'master-link-down-time': 95_000 };
    expect(await judged(primary, [older, replica])).toEqual(enough);
  });

  it('goes by the offset as a number', async () => {
    const more = { ...replica, 'slave-repl-offset': 10_000, 'master-link-down-time': 91_000 };
    expect(await judged(primary, [replica, more])).toEqual(['SENTINEL SET mymaster down-after-milliseconds 8100']);
  });

  it.each<[string, Fields, readonly Fields[]]>([
    ['there is no answer', {}, []],
    ['Sentinel knows no replica', primary, []],
    ['the primary is well', { ...primary, flags: 'master' }, [replica]],
    ['a failover is in progress', { ...primary, flags: 's_down,master,failover_in_progress' }, [replica]],
    ['a replica is down', primary, [replica, { ...replica, flags: 's_down,slave' }]],
    ['a replica is disconnected', primary, [replica, { ...replica, flags: 'slave,disconnected' }]],
    ['a replica has not told of itself for 5 s', primary, [replica, { ...replica, 'info-refresh': 5001 }]],
    ['the margin is enough for one of them', primary, [replica, { ...replica, 'master-link-down-time': 38_500 }]],
    [
      'a replica that may be promoted has had no link',
      primary,
      [replica, { ...replica, 'master-link-down-time': -1000 }],
    ],
    ['all have priority 0', primary, [{ ...replica, 'slave-priority': 0 }]],
    [
      'one of priority 0 has more',
      primary,
      [replica, { ...replica, 'slave-priority': 0, 'slave-repl-offset': 10_000 }],
    ],
    [
      'one of priority 0 was restarted, so that nobody knows what it has',
      primary,
      [{ ...replica, 'slave-priority': 0, 'master-link-down-time': -1000, 'slave-repl-offset': 0 }, replica],
    ],
    ['the primary would count as up with what is wanted', { ...primary, 'last-ok-ping-reply': 9000 }, [replica]],
  ])('widens nothing when %s', async (_, master, replicas) => {
    expect(await judged(master, replicas)).toEqual([]);
    answers(primary, [replica]);
    expect(await sets()).toEqual(enough);
  });

  it('does not mind one of priority 0 that has no more than the others', async () => {
    expect(await judged(primary, [{ ...replica, 'slave-priority': 0 }, replica])).toEqual(enough);
  });

  it('puts back what was widened, by whomever, when there is a primary', async () => {
    expect(await judged({ ...wide, flags: 'master' }, [replica])).toEqual(putBack);
  });

  it('puts back what it has widened when a replica ceases to answer before one is promoted', async () => {
    expect(await judged(primary, [replica, replica])).toEqual(enough);
    answers(wide, [replica, replica]);
    expect(await sets()).toEqual(enough);
    answers(wide, [replica, { ...replica, flags: 's_down,slave' }]);
    expect(await sets()).toEqual([...enough, ...putBack]);
  });

  it('leaves what a person has widened while a replica does not answer', async () => {
    expect(await judged(wide, [replica, { ...replica, flags: 's_down,slave' }])).toEqual([]);
    answers({ ...wide, flags: 'master' }, [replica]);
    expect(await sets()).toEqual(putBack);
  });
});
