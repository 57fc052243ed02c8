import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ask,
  askSentinel,
  nodeOf,
  type Rig,
  type RigNode,
  readConf,
  redisHosts,
  redisPort,
  script,
  scriptPath,
  sentinelHosts,
  sentinelLog,
  settledPrimary,
  start,
  startRig,
  statePath,
  stop,
  stopRig,
  until,
} from '../handoff/rig.ts';
import { longestGap, startWriter } from '../handoff/writer.ts';
import { notInstalled } from '../host/tools.mjs';
import { releaseOf } from './rollout-fixture.ts';

const missing = notInstalled(['redis-server', 'redis-sentinel', 'redis-cli', 'flock']);

const downAfterMs = 1000;

let rig: Rig;
let primary: string;
let node: RigNode;

/** What a Sentinel knows of a replica's priority, and how old that is. */
async function viewOf(sentinel: string, replica: string): Promise<{ priority: number; ageMs: number }> {
  const all = (await askSentinel(sentinel, 'SENTINEL', 'REPLICAS', 'mymaster')) as string[][];
  const fields = all.find((each) => each[each.indexOf('ip') + 1] === replica) ?? [];
  const number = (name: string): number => Number(fields[fields.indexOf(name) + 1]);
  return { priority: number('slave-priority'), ageMs: number('info-refresh') };
}

async function setDownAfter(ms: number): Promise<void> {
  for (const sentinel of sentinelHosts)
    await askSentinel(sentinel, 'SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', String(ms));
}

async function setInfoPeriod(ms: number): Promise<void> {
  for (const sentinel of sentinelHosts) await askSentinel(sentinel, 'SENTINEL', 'DEBUG', 'info-period', String(ms));
}

/** Writes while `act` runs and for a second more; gives how many acknowledged writes are missing on the settled primary, and the stall. */
async function underWrites(
  act: () => Promise<unknown>,
  held?: 'by all',
): Promise<{ lost: string[]; stallMs: number; now: string }> {
  const writer = startWriter(1, held);
  await sleep(300);
  const from = performance.now();
  await act();
  await sleep(1000);
  await writer.stop();
  const now = await settledPrimary();
  expect(writer.acked.length).toBeGreaterThan(50);
  return { lost: await writer.lostOn(now), stallMs: longestGap(writer.acked, from), now };
}

// Real servers, and bounds that a busy machine keeps too: test/handoff/measure.ts has the figures.
describe('a primary that goes away', () => {
  beforeAll(async () => {
    if (missing !== undefined) return;
    rig = await startRig({ root: '', release: releaseOf('redis-1'), downAfterMs, handoffAfterMs: 0 });
  }, 60_000);

  afterAll(async () => {
    if (missing === undefined) await stopRig(rig);
  });

  beforeEach(async ({ skip }) => {
    if (missing !== undefined) skip(missing);
    for (const each of rig.nodes) {
      each.said.length = 0;
      if (each.process === undefined) await start(rig, each);
    }
    primary = await settledPrimary();
    node = nodeOf(rig, primary);
  }, 60_000);

  it('in order hands over first, loses nothing, and is a replica at its next start', async () => {
    const { lost, stallMs, now } = await underWrites(async () => {
      await stop(rig, node);
      expect(node.said.join('\n')).toMatch(/^handover: \S+ is primary; writes waited \d+ ms/);
      expect(readConf(rig, node)).toMatch(new RegExp(`^replicaof 127\\.0\\.\\d+\\.\\d ${redisPort}$`, 'm'));
      await start(rig, node);
      // The pause begins with the last tick before the promotion, or after it: what only the other replica has is lost then.
    }, 'by all');
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
    expect(stallMs).toBeLessThan(2000);
    // Nobody takes the orderly end for a death.
    expect(node.said.join('\n')).not.toContain('hand-off');
  }, 60_000);

  it('by a crash has a replica promoted at once, and comes back as a replica', async () => {
    const { lost, stallMs, now } = await underWrites(async () => node.process?.kill('SIGKILL'));
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
    expect(stallMs).toBeLessThan(2000);
    expect(node.said.join('\n')).toMatch(/hand-off: \S+ is primary/);
    expect(node.said.join('\n')).toMatch(/fence: this node is a replica of \S+/);
  }, 60_000);

  it('by a crash does not wait until the Sentinels have heard that a replica is back in the election', async () => {
    const back = rig.nodes.find((each) => each !== node);
    if (back === undefined) throw new Error('no replica');
    // They ask again when they have noticed that the primary is down: too late to help here.
    await setDownAfter(5000);
    await ask(back.host, 'CONFIG', 'SET', 'replica-priority', '0');
    // They know it, and from their next question they are more than a second and less than ten away.
    await until(30_000, 'the Sentinels to know', async () => {
      const views = await Promise.all(sentinelHosts.map((sentinel) => viewOf(sentinel, back.host)));
      return views.every(({ priority, ageMs }) => priority === 0 && ageMs > 1100 && ageMs < 8500);
    });
    await ask(back.host, 'CONFIG', 'SET', 'replica-priority', '100');
    const { lost, now } = await underWrites(async () => node.process?.kill('SIGKILL'));
    await setDownAfter(downAfterMs);
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
    const afterMs = /hand-off: \S+ is primary, (\d+) ms after the death/.exec(node.said.join('\n'))?.[1];
    expect(Number(afterMs)).toBeLessThan(4000);
  }, 60_000);

  it('never hands over to a replica that hangs, whatever the Sentinels still think of it', async () => {
    const hung = rig.nodes.find((each) => each !== node);
    const { lost, now } = await underWrites(async () => {
      hung?.process?.kill('SIGSTOP');
      expect(await script(rig, node, 'handover', 'now')).toBe(0);
      hung?.process?.kill('SIGCONT');
    });
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
    expect(now).not.toBe(hung?.host);
  }, 60_000);

  // Writes do not wait for such a replica: its unanswered ping is older than the primary's (c-app/follow.h).
  it('never has a replica chosen that froze after it was looked at', async () => {
    const frozen = rig.nodes.find((each) => each !== node);
    if (frozen === undefined) throw new Error('no replica');
    // Whom the Sentinels like best; they hear of it now, and not in 10 s.
    await ask(frozen.host, 'CONFIG', 'SET', 'replica-priority', '1');
    await setInfoPeriod(100);
    await until(10_000, 'the Sentinels to know', async () => {
      const views = await Promise.all(sentinelHosts.map((sentinel) => viewOf(sentinel, frozen.host)));
      return views.every(({ priority }) => priority === 1);
    });
    await setInfoPeriod(10_000);
    const chosen = () => sentinelHosts.map((host) => readFileSync(sentinelLog(rig, host), 'utf8')).join('');
    const before = chosen().split(`+selected-slave slave ${frozen.host}`).length;
    node.programs = mkdtempSync(join(tmpdir(), 'firedrill-programs-'));
    // The handover listens to Sentinel when it has looked at the replicas, and before it asks for the promotion.
    const freeze = `kill -STOP ${frozen.process?.pid}; sleep 0.4`;
    const redisCli = `#!/bin/sh
PATH=\${PATH#*:} here=\${0%/*}
case $* in *SUBSCRIBE*) [ -e "$here/frozen" ] || { : >"$here/frozen"; ${freeze}; } ;; esac
exec redis-cli "$@"
`;
    writeFileSync(join(node.programs, 'redis-cli'), redisCli, { mode: 0o755 });
    const { lost, now } = await underWrites(async () => {
      const code = await script(rig, node, 'handover', 'now');
      expect(existsSync(join(node.programs ?? '', 'frozen'))).toBe(true);
      frozen.process?.kill('SIGCONT');
      expect(code).toBe(0);
    });
    rmSync(node.programs, { recursive: true });
    node.programs = undefined;
    expect(chosen().split(`+selected-slave slave ${frozen.host}`)).toHaveLength(before);
    expect(node.said.join('\n')).toContain(`${frozen.host}:${redisPort} does not answer any more`);
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
    expect(now).not.toBe(frozen.host);
    await ask(frozen.host, 'CONFIG', 'SET', 'replica-priority', '100');
  }, 60_000);

  it('pauses its writes before it asks where the replicas do not answer in time', async () => {
    const path = scriptPath(rig, node, 'handover');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('fresh_ms=40', 'fresh_ms=0'));
    const { lost, now } = await underWrites(async () => {
      expect(await script(rig, node, 'handover', 'now')).toBe(0);
    });
    writeFileSync(path, text);
    expect(text).toContain('fresh_ms=40');
    expect(lost).toEqual([]);
    expect(now).not.toBe(primary);
  }, 60_000);

  it('on demand hands over and runs on as a replica', async () => {
    expect(await script(rig, node, 'handover', 'now')).toBe(0);
    expect(((await ask(primary, 'ROLE')) as unknown[])[0]).toBe('slave');
    expect(await settledPrimary()).not.toBe(primary);
  }, 60_000);

  it('that is about to stop is a replica that no write waits for', async () => {
    expect(await script(rig, node, 'handover', 'stop')).toBe(0);
    expect(((await ask(primary, 'ROLE')) as unknown[])[0]).toBe('slave');
    expect(await ask(primary, 'CONFIG', 'GET', 'replica-announced')).toEqual(['replica-announced', 'no']);
    expect(await ask(primary, 'CONFIG', 'GET', 'replica-priority')).toEqual(['replica-priority', '0']);
    await ask(primary, 'CONFIG', 'SET', 'replica-announced', 'yes', 'replica-priority', '100');
    rmSync(statePath(rig, node, 'stopping'));
  }, 60_000);

  it('is no matter when it was none: a replica dies and nothing happens', async () => {
    const replica = rig.nodes.find((each) => each !== node);
    if (replica === undefined) throw new Error('no replica');
    replica.restart = false;
    replica.process?.kill('SIGKILL');
    await sleep(500);
    expect(existsSync(statePath(rig, replica, 'died'))).toBe(false);
    expect(replica.said).toEqual([]);
    await start(rig, replica);
    expect(await settledPrimary()).toBe(primary);
  }, 60_000);

  it('is no matter when it was none: a replica leaves the election before it stops in order', async () => {
    const replica = rig.nodes.find((each) => each !== node);
    if (replica === undefined) throw new Error('no replica');
    expect(await script(rig, replica, 'handover', 'stop')).toBe(0);
    expect(replica.said.join('\n')).toMatch(/^leave: no Sentinel would promote this replica any more/m);
    for (const sentinel of sentinelHosts) {
      const replicas = (await askSentinel(sentinel, 'SENTINEL', 'REPLICAS', 'mymaster')) as string[][];
      const electable = replicas.filter((each) => each[each.indexOf('slave-priority') + 1] !== '0');
      expect(electable.map((each) => each[each.indexOf('ip') + 1])).not.toContain(replica.host);
    }
    expect((await ask(replica.host, 'CONFIG', 'GET', 'replica-announced')) as string[]).toContain('no');
    // And when it comes back Sentinel hears of it only while it fails over, and may choose it all the same.
    await sleep(1200);
    await ask(replica.host, 'CONFIG', 'SET', 'replica-announced', 'yes', 'replica-priority', '10');
    expect(await script(rig, node, 'handover', 'now')).toBe(0);
    expect(await settledPrimary()).not.toBe(primary);
    await ask(replica.host, 'CONFIG', 'SET', 'replica-priority', '100');
  }, 60_000);

  it('without a quorum of Sentinels hands over to nobody, however it ends', async () => {
    for (const each of rig.sentinels.slice(1)) each.kill('SIGKILL');
    await sleep(1500);
    expect(await script(rig, node, 'handover', 'now')).toBe(1);
    node.process?.kill('SIGKILL');
    await sleep(2500);
    const roles = await Promise.all(redisHosts.map((host) => ask(host, 'ROLE')));
    expect(roles.map((role) => (role as unknown[])[0]).filter((role) => role === 'master')).toHaveLength(1);
    expect(((await ask(primary, 'ROLE')) as unknown[])[0]).toBe('master');
    expect(node.said.join('\n')).toContain('no Sentinel takes this node for the primary and has a quorum');
  }, 60_000);
});
