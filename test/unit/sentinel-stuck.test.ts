import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  ask,
  askSentinel,
  nodeOf,
  type Rig,
  type RigNode,
  sentinelHosts,
  sentinelLog,
  sentinelPassword,
  sentinelPort,
  settledPrimary,
  start,
  startRig,
  startSentinels,
  stopRig,
  until,
  vanish,
} from '../handoff/rig.ts';
import { notInstalled } from '../host/tools.mjs';
import { releaseOf } from './rollout-fixture.ts';

const missing = notInstalled(['redis-server', 'redis-sentinel', 'redis-cli', 'flock']);

// Short, so that ten times down-after is: so long a replica's link may have been down for longer than the Sentinels saw the primary down.
const downAfterMs = 500;
const failoverTimeoutMs = 1500;
const promisedMs = 15_000;

let rig: Rig;
let primary: string;
let node: RigNode;
let scripts: ChildProcess[] = [];
let said = '';

/** firedrill-sentinel-margin beside each Sentinel. */
function startMargins(): void {
  const file = releaseOf('sentinel-1').files.find((each) => each.path.endsWith('/firedrill-sentinel-margin'));
  for (const host of sentinelHosts) {
    const folder = join(rig.folder, host);
    mkdirSync(join(folder, 'bin'), { recursive: true });
    // On a node the Sentinel is at 127.0.0.1.
    const redisCli = `#!/bin/sh\nPATH=\${PATH#*:}\nexec redis-cli -h ${host} "$@"\n`;
    writeFileSync(join(folder, 'bin/redis-cli'), redisCli, { mode: 0o755 });
    writeFileSync(join(folder, 'margin'), file?.content ?? '', { mode: 0o755 });
    writeFileSync(join(folder, 'firedrill-sentinel.conf'), `port ${sentinelPort}\nrequirepass ${sentinelPassword}\n`);
    writeFileSync(
      join(folder, 'firedrill-sentinel.set'),
      `mymaster quorum 2\nmymaster down-after-milliseconds ${downAfterMs}\n`,
    );
    const env = { PATH: `${folder}/bin:${process.env.PATH}` };
    const script = spawn('setpriv', ['--pdeathsig', 'KILL', join(folder, 'margin'), folder], { env });
    for (const stream of [script.stdout, script.stderr]) stream.on('data', (text) => (said += text));
    scripts.push(script);
  }
}

async function stopMargins(): Promise<void> {
  await Promise.all(
    scripts.map(async (script) => {
      const ended = new Promise((resolve) => script.once('exit', resolve));
      if (script.kill('SIGKILL')) await ended;
    }),
  );
  scripts = [];
}

async function downAfters(): Promise<number[]> {
  return await Promise.all(
    sentinelHosts.map(async (host) => {
      const fields = (await askSentinel(host, 'SENTINEL', 'MASTER', 'mymaster')) as string[];
      return Number(fields[fields.indexOf('down-after-milliseconds') + 1]);
    }),
  );
}

async function setInfoPeriod(ms: number): Promise<void> {
  for (const host of sentinelHosts) await askSentinel(host, 'SENTINEL', 'DEBUG', 'info-period', String(ms));
}

const isUsual = async (): Promise<boolean> => (await downAfters()).every((ms) => ms === downAfterMs);

/** How often the Sentinels have noted this, since their logs were this long. */
function noted(event: string, since: readonly number[]): number {
  return sentinelHosts
    .map((host, index) => readFileSync(sentinelLog(rig, host), 'utf8').slice(since[index]).split(event).length - 1)
    .reduce((sum, each) => sum + each, 0);
}

const logLengths = (): number[] => sentinelHosts.map((host) => readFileSync(sentinelLog(rig, host), 'utf8').length);
const others = (): RigNode[] => rig.nodes.filter((each) => each !== node);

async function promoted(): Promise<boolean> {
  const roles = await Promise.all(others().map(({ host }) => ask(host, 'ROLE').catch(() => [])));
  return roles.some((role) => (role as unknown[])[0] === 'master');
}

describe('a failover', () => {
  beforeAll(async () => {
    if (missing !== undefined) return;
    rig = await startRig({
      root: '',
      release: releaseOf('redis-1'),
      downAfterMs,
      failoverTimeoutMs,
      handoffAfterMs: 0,
    });
  }, 60_000);

  afterAll(async () => {
    if (missing === undefined) await stopRig(rig);
  });

  beforeEach(async ({ skip }) => {
    if (missing !== undefined) skip(missing);
    said = '';
    for (const each of rig.nodes) if (each.process === undefined) await start(rig, each);
    primary = await settledPrimary();
    node = nodeOf(rig, primary);
  }, 60_000);

  afterEach(stopMargins);

  it('that no majority could do when it was due is refused for ever; with the margin widened it is done once all replicas answer', async () => {
    for (const each of rig.sentinels) each.kill('SIGKILL');
    await vanish(node);
    await sleep(10 * downAfterMs + 1200);
    const since = logLengths();
    await startSentinels(rig);
    // The next attempt comes after twice failover-timeout.
    await until(20_000, 'three attempts', async () => noted('+failover-state-select-slave', since) >= 3);
    await until(1000, 'their end', async () => noted('-failover-abort-no-good-slave', since) >= 3);
    expect(noted('+selected-slave', since)).toBe(0);

    const [silent] = others();
    silent?.process?.kill('SIGSTOP');
    await until(5000, 'all to see it', async () => noted('+sdown slave', since) >= 3);
    startMargins();
    await sleep(3500);
    expect(await isUsual()).toBe(true);
    expect(said).toBe('');

    silent?.process?.kill('SIGCONT');
    await until(promisedMs, 'a promotion', promoted);
    expect(said).toContain('no replica could be promoted, and all of them answer');
    await until(5000, 'down-after as it was', isUsual);
    expect(said).toContain('the primary is well');
  }, 90_000);

  it('is done within seconds when the Sentinels were paused while the primary died', async () => {
    const since = logLengths();
    for (const each of rig.sentinels) each.kill('SIGSTOP');
    await sleep(5000);
    await vanish(node);
    for (const each of rig.sentinels) each.kill('SIGCONT');
    await until(promisedMs, 'a promotion', promoted);
    expect(noted('+tilt', since)).toBeGreaterThan(1);
  }, 60_000);

  it('that finds all replicas restarted, so of priority 0, waits for a person, who gives one its priority', async () => {
    for (const each of others()) await ask(each.host, 'CONFIG', 'SET', 'replica-priority', '0');
    // They hear of it now, and not in 10 s.
    await setInfoPeriod(100);
    await sleep(500);
    await setInfoPeriod(10_000);
    const since = logLengths();
    startMargins();
    await vanish(node);
    await until(20_000, 'two attempts', async () => noted('-failover-abort-no-good-slave', since) >= 2);
    expect(noted('+selected-slave', since)).toBe(0);
    expect(said).toBe('');
    const [chosen] = others();
    await ask(chosen?.host ?? '', 'CONFIG', 'SET', 'replica-priority', '100');
    await until(promisedMs, 'a promotion', promoted);
    expect(((await ask(chosen?.host ?? '', 'ROLE')) as unknown[])[0]).toBe('master');
    for (const each of others()) await ask(each.host, 'CONFIG', 'SET', 'replica-priority', '100');
  }, 60_000);

  it('has its usual margin while the primary is well, also when a script was killed that had widened it', async () => {
    for (const host of sentinelHosts)
      await askSentinel(host, 'SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', '2345');
    startMargins();
    await until(5000, 'down-after as it was', isUsual);
    await sleep(2500);
    expect(await isUsual()).toBe(true);
    expect(said).toBe(`margin: down-after is ${downAfterMs} ms: the primary is well\n`.repeat(3));
    expect(await settledPrimary()).toBe(primary);
  }, 60_000);
});
