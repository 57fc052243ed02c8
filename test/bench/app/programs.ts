import { readdirSync, readFileSync } from 'node:fs';
import { inRoot, type Program, start, waitForPort, writeInRoot } from '../../sandbox/inside.ts';

/** The load has a processor for itself: it shares none with what it measures. The server, its Redis and the Sentinel have the other. */
export const serverCpu = 0;
export const loadCpu = 1;

export const ports = {
  redis: 23000,
  /** A primary and its two replicas. */
  replicated: [23001, 23002, 23003],
  sentinel: 23010,
  service: 23020,
  serviceAsync: 23021,
  serviceReplicated: 23022,
  webdis: 23030,
  nginx: 23040,
  /** What is started only to see how long it takes, or what it holds. */
  scratch: 23050,
} as const;

/** The names by which the Sentinel knows the two primaries. */
export const masters = { alone: 'alone', replicated: 'replicated' } as const;

export type Durability = 'async' | 'replicated';

/** The command on one processor, with room for many connections. */
export function pinned(cpu: number, argv: readonly string[]): [string, ...string[]] {
  return ['taskset', '--cpu-list', String(cpu), 'prlimit', '--nofile=16384:16384', ...argv];
}

/** Starts a program of the root and waits until it listens on `port`. Rejects with what it printed when it ends before. */
export async function startPinned(cpu: number, argv: readonly string[], port: number): Promise<Program> {
  const [program, ...args] = pinned(cpu, argv);
  // A file and not a pipe: nginx's worker, which outlives a killed master, would hold a pipe open.
  const logFile = `/tmp/bench-${port}.log`;
  const started = await start(program, args, { logFile });
  await Promise.race([
    waitForPort(port),
    started.ended.then((code) => {
      throw new Error(`${argv.join(' ')} ended with ${code}:\n${readFileSync(inRoot(logFile), 'utf8')}`);
    }),
  ]);
  return started;
}

/** A Redis without persistence, so that no disk is measured; with `primary` it is that port's replica. */
export function startRedis(port: number, primary?: number): Promise<Program> {
  const options = {
    port: String(port),
    bind: '127.0.0.1',
    save: '',
    appendonly: 'no',
    dir: '/tmp',
    'repl-diskless-sync-delay': '0',
    ...(primary === undefined ? {} : { replicaof: `127.0.0.1 ${primary}` }),
  };
  const args = Object.entries(options).flatMap(([name, value]) => [
    `--${name}`,
    ...(name === 'replicaof' ? value.split(' ') : [value]),
  ]);
  return startPinned(serverCpu, ['redis-server', ...args], port);
}

/** One Sentinel for both primaries. It never acts: the fault that it would see lasts longer than a run. */
export function startSentinel(): Promise<Program> {
  const watched = Object.entries({ [masters.alone]: ports.redis, [masters.replicated]: ports.replicated[0] });
  const lines = watched.flatMap(([name, port]) => [
    `sentinel monitor ${name} 127.0.0.1 ${port} 1`,
    `sentinel down-after-milliseconds ${name} 600000`,
  ]);
  const file = '/tmp/bench-sentinel.conf';
  writeInRoot(file, [`port ${ports.sentinel}`, 'bind 127.0.0.1', 'dir /tmp', ...lines, ''].join('\n'));
  return startPinned(serverCpu, ['redis-sentinel', file], ports.sentinel);
}

/** The service's command line, its file written. */
export function serviceArgv(port: number, master: string, durability: Durability): string[] {
  const file = `/tmp/bench-service-${port}.conf`;
  const settings = {
    listen: '127.0.0.1',
    port: String(port),
    sentinels: `127.0.0.1:${ports.sentinel}`,
    'master-name': master,
    durability,
  };
  writeInRoot(
    file,
    `${Object.entries(settings)
      .map(([name, value]) => `${name} = ${value}`)
      .join('\n')}\n`,
  );
  return ['/tmp/bench-build/sessiond', '--config', file];
}

/**
 * webdis with one thread, without a log, without access rules. Two connections to Redis are what it takes when nothing is said, and
 * what it is fastest with here: with 20 it needs half as much again a request.
 */
export function webdisArgv(port: number): string[] {
  const file = `/tmp/bench-webdis-${port}.json`;
  const settings = {
    redis_host: '127.0.0.1',
    redis_port: ports.redis,
    redis_auth: null,
    http_host: '127.0.0.1',
    http_port: port,
    threads: 1,
    pool_size: 2,
    daemonize: false,
    websockets: false,
    database: 0,
    acl: [],
    verbosity: 0,
    logfile: '/dev/null',
  };
  writeInRoot(file, JSON.stringify(settings));
  return ['webdis', file];
}

/** nginx with one worker, which answers `ok` to everything. */
export function nginxArgv(port: number): string[] {
  const file = `/tmp/bench-nginx-${port}.conf`;
  const lines = [
    'worker_processes 1; daemon off; error_log /dev/null crit;',
    `pid /tmp/bench-nginx-${port}.pid;`,
    'events { worker_connections 8192; }',
    'http { access_log off; keepalive_requests 1000000000;',
    `server { listen 127.0.0.1:${port}; location / { return 200 "ok\\n"; } } }`,
  ];
  writeInRoot(file, `${lines.join('\n')}\n`);
  return ['nginx', '-c', file];
}

/** A process and its children, which have none themselves. */
export function withChildren(pid: number): number[] {
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && parentOf(name) === pid);
  return [pid, ...children.map(Number)];
}

/** 0 for a process that has just ended. */
function parentOf(pid: string): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
