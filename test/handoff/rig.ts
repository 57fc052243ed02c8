/**
 * Three Redis with their scripts, and three Sentinels, on loopback addresses: the scripts of configs/redis/ as the nodes run them, with
 * the part of systemd that they need (start behind the fence, stop, restart after a crash) played by this file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import type { Release } from '../../actions/rollout/release-types.ts';

/** Tests run side by side: each of vitest's workers has a rig of its own. */
const net = `127.0.${26 + Number(process.env.VITEST_POOL_ID ?? 0)}`;
export const redisHosts = [`${net}.1`, `${net}.2`, `${net}.3`] as const;
export const sentinelHosts = [`${net}.11`, `${net}.12`, `${net}.13`] as const;
export const redisPort = 26001;
export const sentinelPort = 26002;
const redisPassword = 'redis-password';
export const sentinelPassword = 'sentinel-password';
/** As environments have it (ms). */
const pingMs = 300;
const tiltMs = 1500;

export interface RigOptions {
  /** A Debian root that the programs run in; '' for this machine's own. */
  readonly root: string;
  /** Of a Redis node, whose scripts are taken. */
  readonly release: Release;
  readonly downAfterMs: number;
  readonly handoffAfterMs: number;
  /** Half of the time before a failed failover is tried again. */
  readonly failoverTimeoutMs?: number;
}

export interface RigNode {
  readonly host: string;
  /** What its scripts have said, line by line. */
  readonly said: string[];
  process: ChildProcess | undefined;
  /** What systemd does when it dies. */
  restart: boolean;
  stopping: boolean;
  /** None of its scripts runs when it dies: its machine is gone. */
  vanished: boolean;
  /** A folder with programs that its scripts take instead of the machine's. */
  programs: string | undefined;
  /** What follows its end. */
  ended: Promise<void>;
}

export interface Rig {
  readonly options: RigOptions;
  /** Inside the root. */
  readonly folder: string;
  readonly nodes: readonly RigNode[];
  readonly sentinels: ChildProcess[];
  /** Scripts that run. */
  readonly scripts: Set<Promise<number>>;
  closed: boolean;
}

/** Starts all on empty folders; resolves when the Sentinels agree on the first node. */
export async function startRig(options: RigOptions): Promise<Rig> {
  const made = mkdtempSync(join(options.root, '/tmp/firedrill-handoff-'));
  const folder = made.slice(options.root.length);
  const rig: Rig = {
    options,
    folder,
    sentinels: [],
    scripts: new Set(),
    closed: false,
    nodes: redisHosts.map((host) => newNode(host)),
  };
  try {
    for (const [index, node] of rig.nodes.entries()) {
      layOut(rig, node, index === 0 ? '' : `replicaof ${redisHosts[0]} ${redisPort}\n`);
      await start(rig, node);
    }
    await until(20_000, 'the replicas to be linked', async () => (await linked(redisHosts[0])) === 2);
    for (const host of sentinelHosts) layOutSentinel(rig, host);
    await startSentinels(rig);
    await until(20_000, 'the Sentinels to agree', () => settled(redisHosts[0]));
    return rig;
  } catch (error) {
    await stopRig(rig);
    throw error;
  }
}

export async function stopRig(rig: Rig): Promise<void> {
  rig.closed = true;
  const processes = [...rig.nodes.map((node) => node.process), ...rig.sentinels];
  for (const each of processes) each?.kill('SIGKILL');
  await Promise.all(rig.nodes.map((node) => node.ended));
  await Promise.all(rig.scripts);
  await sleep(100);
  rmSync(join(rig.options.root, rig.folder), { recursive: true, force: true, maxRetries: 5 });
}

function newNode(host: string): RigNode {
  return {
    host,
    said: [],
    process: undefined,
    restart: true,
    stopping: false,
    vanished: false,
    programs: undefined,
    ended: Promise.resolve(),
  };
}

function at(rig: Rig, node: RigNode, name: string): string {
  return `${rig.folder}/${node.host}/${name}`;
}

function layOut(rig: Rig, node: RigNode, replicaof: string): void {
  const outside = (name: string): string => join(rig.options.root, at(rig, node, name));
  for (const each of ['sbin', 'lib', 'state', 'data']) mkdirSync(outside(each), { recursive: true });
  for (const file of rig.options.release.files) {
    const name = /\/usr\/local\/((sbin|lib)\/firedrill-redis-.*)/.exec(file.path)?.[1];
    if (name === undefined) continue;
    writeFileSync(outside(name), file.content);
    chmodSync(outside(name), 0o755);
  }
  writeFileSync(outside('settings'), settings(rig, node));
  writeFileSync(outside('redis.conf'), redisConf(rig, node) + replicaof);
}

function settings(rig: Rig, node: RigNode): string {
  return [
    `node ${node.host} ${redisPort}`,
    `state ${at(rig, node, 'state')}`,
    `config ${at(rig, node, 'redis.conf')}`,
    'master mymaster',
    'quorum 2',
    'fence-timeout-ms 1000',
    'handover-timeout-ms 5000',
    `handoff-after-ms ${rig.options.handoffAfterMs}`,
    'leave-timeout-ms 11000',
    'handover-pause chosen',
    `sentinel-password ${sentinelPassword}`,
    `redis-password ${redisPassword}`,
    ...sentinelHosts.map((host) => `sentinel ${host} ${sentinelPort}`),
    ...redisHosts.map((host) => `redis ${host} ${redisPort}`),
    '',
  ].join('\n');
}

function redisConf(rig: Rig, node: RigNode): string {
  return `port ${redisPort}
bind ${node.host}
replica-announce-ip ${node.host}
dir ${at(rig, node, 'data')}
requirepass ${redisPassword}
masterauth ${redisPassword}
appendonly yes
save ""
repl-diskless-sync-delay 0
repl-backlog-size 64mb
min-replicas-to-write 1
min-replicas-max-lag 2
shutdown-timeout 1
`;
}

function layOutSentinel(rig: Rig, host: string): void {
  const folder = join(rig.options.root, rig.folder, host);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, 'sentinel.conf'),
    `port ${sentinelPort}
bind ${host}
dir ${rig.folder}/${host}
requirepass ${sentinelPassword}
sentinel sentinel-pass ${sentinelPassword}
sentinel announce-ip ${host}
sentinel monitor mymaster ${redisHosts[0]} ${redisPort} 2
sentinel auth-pass mymaster ${redisPassword}
sentinel down-after-milliseconds mymaster ${rig.options.downAfterMs}
sentinel failover-timeout mymaster ${rig.options.failoverTimeoutMs ?? 6000}
sentinel parallel-syncs mymaster 2
`,
  );
}

/** All of them, with what they wrote into their files, and as firedrill-sentinel-pace sets them. */
export async function startSentinels(rig: Rig): Promise<void> {
  rig.sentinels.length = 0;
  for (const host of sentinelHosts) {
    const child = command(rig, ['redis-sentinel', `${rig.folder}/${host}/sentinel.conf`]);
    child.stdout?.on('data', (text) => appendFileSync(sentinelLog(rig, host), text));
    rig.sentinels.push(child);
  }
  const pace = ['ping-period', String(pingMs), 'tilt-period', String(tiltMs)];
  for (const host of sentinelHosts)
    await until(5000, host, async () => (await askSentinel(host, 'SENTINEL', 'DEBUG', ...pace)) === 'OK');
}

export function sentinelLog(rig: Rig, host: string): string {
  return join(rig.options.root, rig.folder, host, 'log');
}

function command(rig: Rig, argv: readonly string[], programs?: string): ChildProcess {
  const [program = '', ...args] = rig.options.root === '' ? argv : ['chroot', rig.options.root, ...argv];
  const env = { ...process.env, PATH: `${programs === undefined ? '' : `${programs}:`}${process.env.PATH}` };
  // Also when this process is killed: what would be left has the addresses of the next rig.
  return spawn('setpriv', ['--pdeathsig', 'KILL', program, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A script of the node, to its end; gives its exit code, and what it says is kept. */
export function script(rig: Rig, node: RigNode, name: string, ...args: string[]): Promise<number> {
  const argv = [at(rig, node, `sbin/firedrill-redis-${name}`), ...args, at(rig, node, 'settings')];
  const child = command(rig, argv, node.programs);
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (text) => {
      node.said.push(...String(text).trim().split('\n'));
    });
  const done = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 128)));
  rig.scripts.add(done);
  void done.then(() => rig.scripts.delete(done));
  return done;
}

/** `systemctl start`: returns when Redis has been started, ready or not. */
export async function start(rig: Rig, node: RigNode): Promise<void> {
  node.stopping = false;
  node.vanished = false;
  node.restart = true;
  await script(rig, node, 'fence');
  const child = command(rig, ['redis-server', at(rig, node, 'redis.conf')]);
  child.stdout?.on('data', (text) => appendFileSync(join(rig.options.root, at(rig, node, 'log')), text));
  node.process = child;
  child.once('exit', () => {
    node.ended = ended(rig, node);
  });
}

async function ended(rig: Rig, node: RigNode): Promise<void> {
  node.process = undefined;
  if (rig.closed || node.vanished) return;
  const again = node.restart && !node.stopping;
  await script(rig, node, 'handoff', 'died');
  void script(rig, node, 'handoff', 'crash');
  if (again) await sleep(100);
  if (!again || rig.closed) return;
  await start(rig, node);
}

/** Its machine loses its power. */
export async function vanish(node: RigNode): Promise<void> {
  node.vanished = true;
  node.process?.kill('SIGKILL');
  await until(5000, 'its end', async () => node.process === undefined);
}

/** `systemctl stop`. */
export async function stop(rig: Rig, node: RigNode): Promise<void> {
  node.stopping = true;
  await script(rig, node, 'handover', 'stop');
  const child = node.process;
  if (child === undefined) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await exited;
  await node.ended;
}

export function redisClient(host: string, timeoutMs = 2000): Redis {
  return client(host, redisPort, redisPassword, timeoutMs);
}

function client(host: string, port: number, password: string, timeoutMs: number): Redis {
  const made = new Redis({
    host,
    port,
    password,
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  made.on('error', () => {});
  return made;
}

async function once(redis: Redis, words: readonly string[]): Promise<unknown> {
  const [word = '', ...rest] = words;
  try {
    return await redis.call(word, ...rest);
  } finally {
    redis.disconnect();
  }
}

export function ask(host: string, ...words: string[]): Promise<unknown> {
  return once(redisClient(host), words);
}

export function askSentinel(host: string, ...words: string[]): Promise<unknown> {
  return once(client(host, sentinelPort, sentinelPassword, 2000), words);
}

export async function linked(host: string): Promise<number> {
  return String(await ask(host, 'INFO', 'replication')).match(/state=online/g)?.length ?? 0;
}

/** This host is the primary, with two linked replicas and no other primary, and every Sentinel says so and nothing else is going on. */
export async function settled(host: string): Promise<boolean> {
  const roles = await Promise.all(redisHosts.map((each) => ask(each, 'ROLE')));
  const right = roles.every(
    (role, index) => (role as unknown[])[0] === (redisHosts[index] === host ? 'master' : 'slave'),
  );
  if (!right || (await linked(host)) !== 2) return false;
  const views = await Promise.all(
    sentinelHosts.map(async (each) => {
      const master = (await askSentinel(each, 'SENTINEL', 'MASTER', 'mymaster')) as string[];
      const quorum = String(await askSentinel(each, 'SENTINEL', 'CKQUORUM', 'mymaster'));
      const field = (name: string) => master[master.indexOf(name) + 1];
      return (
        field('ip') === host && field('flags') === 'master' && field('num-slaves') === '2' && quorum.startsWith('OK 3')
      );
    }),
  );
  return views.every(Boolean);
}

/** The host that is primary and settled. */
export async function settledPrimary(timeoutMs = 30_000): Promise<string> {
  let found = '';
  await until(timeoutMs, 'one settled primary', async () => {
    for (const host of redisHosts)
      if (await settled(host).catch(() => false)) {
        found = host;
        return true;
      }
    return false;
  });
  return found;
}

export async function until(timeoutMs: number, what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await probe().catch(() => false))) {
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await sleep(20);
  }
}

export function nodeOf(rig: Rig, host: string): RigNode {
  const node = rig.nodes.find((each) => each.host === host);
  if (node === undefined) throw new Error(`no node ${host}`);
  return node;
}

/** The node's script, as seen from here. */
export function scriptPath(rig: Rig, node: RigNode, name: string): string {
  return join(rig.options.root, at(rig, node, `sbin/firedrill-redis-${name}`));
}

/** A file that the node's scripts leave each other, as seen from here. */
export function statePath(rig: Rig, node: RigNode, name: string): string {
  return join(rig.options.root, at(rig, node, 'state'), name);
}

export function readConf(rig: Rig, node: RigNode): string {
  return readFileSync(join(rig.options.root, at(rig, node, 'redis.conf')), 'utf8');
}
