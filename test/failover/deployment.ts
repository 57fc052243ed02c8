import { mkdirSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { inRoot, type Program, start, stopAll, waitFor, waitForPort, writeInRoot } from '../sandbox/inside.ts';
import { type Answer, ask } from './redis-client.ts';
import * as settings from './settings.ts';

/** Three Redis, three Sentinels, two sessiond behind HAProxy. Redis 0 is the primary at first. */
export interface Deployment {
  readonly redis: Program[];
  readonly sentinels: Program[];
  readonly apps: Program[];
}

/** Where all programs keep their files and logs. */
export const folder = '/var/lib/failover';
export const binary = '/tmp/build/sessiond';
export const binaryOfTests = '/tmp/build/sessiond-asan';

/** Starts all on empty folders; resolves when writes are served and the Sentinels agree. */
export async function startDeployment(
  round: number,
  program: string,
  durability: settings.Durability,
): Promise<Deployment> {
  const log = (name: string): { logFile: string } => ({ logFile: `${folder}/${round}-${name}.log` });
  mkdirSync(inRoot(folder), { recursive: true });
  for (const [index, host] of settings.redisHosts.entries())
    newFolder(
      `redis-${host}`,
      'redis.conf',
      settings.redisConf(host, index === 0 ? undefined : settings.redisHosts[0]),
    );
  for (const host of settings.sentinelHosts)
    newFolder(`sentinel-${host}`, 'sentinel.conf', settings.sentinelConf(host));
  const redis = await Promise.all(settings.redisHosts.map((_, index) => startRedis(index)));
  await waitFor(20_000, 'the replicas to be linked', () => linkedReplicas(0).then((count) => count === 2));
  const sentinels = await Promise.all(
    settings.sentinelHosts.map((host) =>
      start('redis-sentinel', [`${folder}/sentinel-${host}/sentinel.conf`], log(host)),
    ),
  );
  await waitFor(20_000, 'the Sentinels to agree', sentinelsAgree);
  for (const host of settings.sentinelHosts)
    await askSentinel(host, 'SENTINEL', 'DEBUG', 'ping-period', String(settings.pingMs));
  const apps = await Promise.all(settings.appHosts.map((_, index) => startApp(index, program, durability)));
  writeInRoot('/etc/haproxy/haproxy.cfg', settings.haproxyCfg());
  mkdirSync(inRoot('/run/haproxy'), { recursive: true });
  await start('haproxy', ['-db', '-f', '/etc/haproxy/haproxy.cfg'], log('haproxy'));
  await waitForPort(settings.balancer.port, settings.balancer.host);
  await Promise.all(
    settings.appHosts.map((host) => waitFor(10_000, `sessiond ${host} to be ready`, () => ready(host))),
  );
  return { redis, sentinels, apps };

  function newFolder(name: string, file: string, text: string): void {
    const all = inRoot(`${folder}/${name}`);
    rmSync(all, { recursive: true, force: true });
    writeInRoot(`${folder}/${name}/${file}`, text);
  }
}

export { stopAll as stopDeployment };

export async function startRedis(index: number): Promise<Program> {
  const host = settings.redisHosts[index];
  return await start('redis-server', [`${folder}/redis-${host}/redis.conf`], {
    logFile: `${folder}/redis-${host}.log`,
  });
}

/** Starts a Redis again, as a replica of `primary`: what the fence of a real node does, which asks the Sentinels first. */
export async function startAsReplica(index: number, primary: number): Promise<Program> {
  const host = settings.redisHosts[index] ?? '';
  writeInRoot(`${folder}/redis-${host}/redis.conf`, settings.redisConf(host, settings.redisHosts[primary]));
  return await startRedis(index);
}

export async function startApp(index: number, program: string, durability: settings.Durability): Promise<Program> {
  const host = settings.appHosts[index] ?? '';
  const path = `${folder}/sessiond-${host}.conf`;
  writeInRoot(path, settings.sessiondConf(host, durability));
  return await start(program, ['--config', path], { logFile: `${folder}/sessiond-${host}.log` });
}

/** How many replicas are linked and in step. */
async function linkedReplicas(index: number): Promise<number> {
  const info = String(await askRedis(index, 'INFO', 'replication'));
  return info.match(/state=online/g)?.length ?? 0;
}

/** Exactly one primary, everybody else linked to it, all Sentinels of that opinion; gives it. */
export async function convergedOn(): Promise<number | undefined> {
  const roles = await Promise.all(settings.redisHosts.map((_, index) => askRedis(index, 'ROLE')));
  const primaries = roles.flatMap((role, index) => (Array.isArray(role) && role[0] === 'master' ? [index] : []));
  const [primary] = primaries;
  if (primary === undefined || primaries.length > 1 || (await linkedReplicas(primary)) !== 2) return undefined;
  const views = await Promise.all(
    settings.sentinelHosts.map((host) => askSentinel(host, 'SENTINEL', 'GET-MASTER-ADDR-BY-NAME', settings.masterName)),
  );
  return views.every((view) => Array.isArray(view) && view[0] === settings.redisHosts[primary]) ? primary : undefined;
}

async function sentinelsAgree(): Promise<boolean> {
  const answers = await Promise.all(
    settings.sentinelHosts.map(async (host) => {
      const quorum = String(await askSentinel(host, 'SENTINEL', 'CKQUORUM', settings.masterName));
      const replicas = await askSentinel(host, 'SENTINEL', 'REPLICAS', settings.masterName);
      return (
        quorum.startsWith('OK 3') && (JSON.stringify(replicas).match(/"master-link-status","ok"/g)?.length ?? 0) === 2
      );
    }),
  );
  return answers.every((answer) => answer);
}

export function askRedis(index: number, ...words: string[]): Promise<Answer> {
  return ask(settings.redisHosts[index] ?? '', settings.redisPort, words);
}

export function askSentinel(host: string, ...words: string[]): Promise<Answer> {
  return ask(host, settings.sentinelPort, words);
}

/** Whether this sessiond says that it can write. */
function ready(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    get({ host, port: settings.appPort, path: '/readyz', agent: false, timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).on('error', () => resolve(false));
  });
}
