/** Inside a sandbox: a fleet of one process per service, at the lab's own addresses, with the files that the rollout would bring. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import { type Environment, type EnvironmentNode, sections } from '../../actions/core/environment/schema.ts';
import { Secret } from '../../actions/core/secret.ts';
import { buildReleases } from '../../actions/rollout/release.ts';
import type { Release } from '../../actions/rollout/release-types.ts';
import { loadRoles } from '../../actions/rollout/role.ts';
import { clone } from '../lab/paths.ts';
import { inRoot, type Program, run, start, waitForPort } from '../sandbox/inside.ts';

/** Where alerts arrive. */
export const hookPort = 9999;
/** Where the calls arrive that say that alerts can be told. */
export const watchdogPath = '/watchdog';

const secrets = {
  redis: new Secret('redis-password'),
  sentinel: new Secret('sentinel-password'),
  watchdog: new Secret(`http://127.0.0.1:${hookPort}${watchdogPath}`),
};

/**
 * The lab with one load balancer, since one machine has one port 80; with the schema's limits instead of the lab's quick ones, and with both
 * load balancers, when `defaults` is set.
 */
export function environmentOf(defaults: boolean): Environment {
  const environment = loadEnvironment(`${clone}/environments/lab.yaml`);
  const monitor = defaults ? sections.monitor.parse({}) : environment.monitor;
  const alerts = { to: 'webhook' as const, url: `http://127.0.0.1:${hookPort}/` };
  if (defaults) return { ...environment, monitor: { ...monitor, alerts } };
  const nodes = environment.nodes.filter(({ name }) => name !== 'lb-2');
  const haproxy = { ...environment.haproxy, shared: undefined };
  const rules = { ...monitor.rules, drillOverdueMs: 8000 };
  return { ...environment, nodes, haproxy, monitor: { ...monitor, rules, alerts, watchdogMs: 2000 } };
}

export function releasesOf(environment: Environment): readonly Release[] {
  return buildReleases({ environment, roles: loadRoles(`${clone}/configs`), secrets, binary: Buffer.alloc(0) });
}

export function releaseOf(releases: readonly Release[], node: string): Release {
  const release = releases.find((each) => each.node === node);
  if (release === undefined) throw new Error(`no release for ${node}`);
  return release;
}

/** Writes a release's files and seeds below `top` of the root. */
export function place(release: Release, top = ''): void {
  for (const file of [...release.files, ...release.seeds]) {
    const path = inRoot(`${top}${file.path}`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, file.content);
  }
}

/** Writes Prometheus' rules as they are with these limits. It reads them at SIGHUP. */
export function placeRules(environment: Environment, limits: Partial<Environment['monitor']['rules']>): void {
  const monitor = { ...environment.monitor, rules: { ...environment.monitor.rules, ...limits } };
  const release = releaseOf(releasesOf({ ...environment, monitor }), 'monitor-1');
  place({
    ...release,
    files: release.files.filter(({ path }) => path.startsWith('/etc/prometheus/rules/')),
    seeds: [],
  });
}

/** What a drill leaves for the node exporter of monitor-1: when it ended (s since 1970) and whether it was green. None: no drill ever ran. */
export function leaveDrill(drill?: { readonly endedAtS: number; readonly ok: boolean }): void {
  const path = inRoot('/var/lib/prometheus/node-exporter/firedrill.prom');
  if (drill === undefined) rmSync(path);
  else
    writeFileSync(
      path,
      `firedrill_drill_finished_timestamp_seconds ${drill.endedAtS}\nfiredrill_drill_ok ${Number(drill.ok)}\n`,
    );
}

/** ARGS of a file in /etc/default, as systemd splits them. */
function argsOf(release: Release, unit: string): string[] {
  const text = release.files.find((file) => file.path === `/etc/default/${unit}`)?.content.toString('utf8') ?? '';
  return (/^ARGS="(.*)"$/m.exec(text)?.[1] ?? '').split(' ').filter((word) => word !== '');
}

export interface App {
  /** What it says at /metrics. */
  metrics: string;
  readonly server: Server;
}

export interface MonitoredFleet {
  readonly environment: Environment;
  /** By node; of monitor-1 each by its unit. */
  readonly programs: Map<string, Program>;
  readonly apps: Map<string, App>;
  start(name: string): Promise<void>;
  redis(node: string, ...command: string[]): Promise<string>;
}

/** Starts all and waits until each listens. */
export async function startFleet(): Promise<MonitoredFleet> {
  const environment = environmentOf(false);
  const releases = releasesOf(environment);
  const monitor = releaseOf(releases, 'monitor-1');
  for (const { address } of environment.nodes) execFileSync('ip', ['address', 'add', `${address}/32`, 'dev', 'lo']);
  // The node exporter dies without its processors (1.9.0).
  execFileSync('mount', ['--rbind', '/sys', inRoot('/sys')]);
  place(monitor);
  place(releaseOf(releases, 'lb-1'));
  for (const { node } of releases) place(releaseOf(releases, node), `/nodes/${node}`);
  // systemd hands these over.
  for (const [unit, name, from] of [
    ['prometheus-redis-exporter', 'passwords', 'redis-passwords.json'],
    ['prometheus-alertmanager', 'secret', 'alert-secret'],
    ['prometheus-alertmanager', 'watchdog', 'watchdog-url'],
  ]) {
    mkdirSync(inRoot(`/run/credentials/${unit}.service`), { recursive: true });
    cpSync(inRoot(`/etc/prometheus/${from}`), inRoot(`/run/credentials/${unit}.service/${name}`));
  }
  mkdirSync(inRoot('/run/haproxy'), { recursive: true });

  const programs = new Map<string, Program>();
  const apps = new Map<string, App>();
  const { redis, sentinel, app } = environment;
  const services: Record<string, () => Promise<Program>> = {};
  const listens = async (program: Program, port: number, host: string): Promise<Program> => {
    await waitForPort(port, host).catch((error: unknown) => {
      throw new Error(program.output(), { cause: error });
    });
    return program;
  };
  for (const { name, address, roles } of environment.nodes) {
    const top = `/nodes/${name}`;
    const args = ['--supervised', 'no', '--dir', `${top}/data`, '--pidfile', `${top}/pid`, '--bind', address];
    mkdirSync(inRoot(`${top}/data`), { recursive: true });
    // On one machine everybody comes from the address that he calls.
    if (roles.includes('redis'))
      services[name] = async () => {
        const files = [`${top}/etc/redis/redis.conf`, '--include', `${top}/etc/redis/firedrill.conf`];
        return await listens(
          await start('redis-server', [...files, ...args, '--replica-announce-ip', address]),
          redis.port,
          address,
        );
      };
    if (roles.includes('sentinel'))
      services[name] = async () => {
        const files = [`${top}/etc/redis/sentinel.conf`, '--include', `${top}/etc/redis/firedrill-sentinel.conf`];
        return await listens(await start('redis-sentinel', [...files, ...args]), sentinel.port, address);
      };
    services[`node-exporter ${name}`] = async () =>
      await listens(
        await start('prometheus-node-exporter', argsOf(releaseOf(releases, name), 'prometheus-node-exporter')),
        environment.monitor.nodeExporterPort,
        address,
      );
  }
  services['lb-1'] = async () =>
    await listens(
      await start('haproxy', ['-db', '-f', '/etc/haproxy/haproxy.cfg']),
      environment.haproxy.port,
      '127.0.0.1',
    );
  for (const unit of monitor.units.filter((each) => each !== 'prometheus-node-exporter'))
    services[unit] = async () => await start(unit, argsOf(monitor, unit), { logFile: `/tmp/${unit}.log` });

  const fleet: MonitoredFleet = {
    environment,
    programs,
    apps,
    async start(name) {
      const service = services[name];
      if (service === undefined) throw new Error(`no service ${name}`);
      programs.set(name, await service());
    },
    async redis(node, ...command) {
      const { address, roles } = named(environment, node);
      const [port, password] = roles.includes('sentinel')
        ? [sentinel.port, secrets.sentinel.reveal()]
        : [redis.port, secrets.redis.reveal()];
      return await run('redis-cli', [
        '-h',
        address,
        '-p',
        String(port),
        '--no-auth-warning',
        '-a',
        password,
        ...command,
      ]);
    },
  };
  for (const { name, address } of nodesOf(environment, 'app')) apps.set(name, await startApp(address, app.port));
  for (const name of Object.keys(services)) await fleet.start(name);
  await sentinelSettings(fleet);
  return fleet;
}

function named(environment: Environment, name: string): EnvironmentNode {
  const node = environment.nodes.find((each) => each.name === name);
  if (node === undefined) throw new Error(`no node ${name}`);
  return node;
}

/** In place of the C service: it is well, and says what it is told to. */
export async function startApp(host: string, port: number): Promise<App> {
  const app: App = {
    metrics: 'sessiond_ready 1\n',
    server: createServer((request, response) => response.end(request.url === '/metrics' ? app.metrics : 'ok')),
  };
  await new Promise<void>((resolve) => app.server.listen(port, host, resolve));
  return app;
}

/** SENTINEL SET, as node/sentinel-set.sh does it. */
export async function sentinelSettings(fleet: MonitoredFleet): Promise<void> {
  const { masterName, downAfterMs, failoverTimeoutMs } = fleet.environment.sentinel;
  for (const { name } of nodesOf(fleet.environment, 'sentinel')) {
    await fleet.redis(name, 'SENTINEL', 'SET', masterName, 'down-after-milliseconds', String(downAfterMs));
    await fleet.redis(name, 'SENTINEL', 'SET', masterName, 'failover-timeout', String(failoverTimeoutMs));
  }
}
