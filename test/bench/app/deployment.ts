import { run, waitFor } from '../../sandbox/inside.ts';
import type { Target } from './cell.ts';
import { valueBytes } from './plain.ts';
import {
  type Durability,
  masters,
  nginxArgv,
  ports,
  serverCpu,
  serviceArgv,
  startPinned,
  startRedis,
  startSentinel,
  webdisArgv,
  withChildren,
} from './programs.ts';

/** What the rounds load. */
export interface Deployment {
  readonly redis: { readonly port: number; readonly pid: number };
  readonly targets: Readonly<Record<TargetName, Target>>;
}

export type TargetName = 'nginx' | 'healthz' | 'webdisGet' | 'get' | 'webdisSet' | 'set' | 'asyncSet' | 'replicatedSet';

const host = 'http://127.0.0.1';
const session = '/v1/sessions/bench';
const value = 'x'.repeat(valueBytes);
const put = ['PUT', String(valueBytes)];

/** Starts everything and fills in the keys that will be read. It all ends with the sandbox. */
export async function deploy(): Promise<Deployment> {
  const redis = await startRedis(ports.redis);
  const replicated = await startReplicated();
  await startSentinel();
  await sentinelKnowsReplicas();
  const service = await startService(ports.service, masters.alone, 'async');
  const serviceAsync = await startService(ports.serviceAsync, masters.replicated, 'async');
  const serviceReplicated = await startService(ports.serviceReplicated, masters.replicated, 'replicated');
  const webdis = await startPinned(serverCpu, webdisArgv(ports.webdis), ports.webdis);
  const nginx = await startPinned(serverCpu, nginxArgv(ports.nginx), ports.nginx);
  const get = (port: number, path: string, pid: number, redisPid?: number): Target => ({
    url: `${host}:${port}${path}`,
    request: ['GET'],
    pids: withChildren(pid),
    ...(redisPid === undefined ? {} : { redisPid }),
  });
  return {
    redis: { port: ports.redis, pid: redis.pid },
    targets: {
      nginx: get(ports.nginx, '/', nginx.pid),
      healthz: get(ports.service, '/healthz', service.pid),
      webdisGet: get(ports.webdis, '/GET/bench', webdis.pid, redis.pid),
      get: get(ports.service, session, service.pid, redis.pid),
      webdisSet: get(ports.webdis, `/SET/bench/${value}`, webdis.pid, redis.pid),
      set: { ...get(ports.service, session, service.pid, redis.pid), request: put },
      asyncSet: { ...get(ports.serviceAsync, session, serviceAsync.pid, replicated), request: put },
      replicatedSet: { ...get(ports.serviceReplicated, session, serviceReplicated.pid, replicated), request: put },
    },
  };
}

/**
 * Empties the target's Redis and fills in what is read. The request ids that a load leaves behind, hundreds of thousands, expire a
 * minute after it, and Redis' work for that would be counted for whoever is measured then.
 */
export async function emptied(deployment: Deployment, name: TargetName): Promise<void> {
  if (deployment.targets[name].redisPid === undefined) return;
  const alone = deployment.targets[name].redisPid === deployment.redis.pid;
  const port = String(alone ? deployment.redis.port : ports.replicated[0]);
  await run('redis-cli', ['-p', port, 'flushall', 'sync']);
  await run('redis-cli', ['-p', port, 'set', 'bench', value]);
  await waitFor(5000, 'a write after the keys were dropped', () =>
    putSession(alone ? ports.service : ports.serviceAsync),
  );
}

/** False when the service did not acknowledge it. */
async function putSession(port: number): Promise<boolean> {
  const answer = await fetch(`${host}:${port}${session}`, {
    method: 'PUT',
    body: value,
    signal: AbortSignal.timeout(4000),
  });
  return answer.status === 204;
}

/** A primary with two replicas; gives the primary's process. */
async function startReplicated(): Promise<number> {
  const [primaryPort, ...replicaPorts] = ports.replicated;
  const primary = await startRedis(primaryPort);
  for (const port of replicaPorts) await startRedis(port, primaryPort);
  await waitFor(20_000, 'two replicas to link', async () => {
    const info = await run('redis-cli', ['-p', String(primaryPort), 'info', 'replication']);
    return info.match(/state=online/g)?.length === replicaPorts.length;
  });
  return primary.pid;
}

/** The service asks the Sentinel which replicas count. */
function sentinelKnowsReplicas(): Promise<void> {
  return waitFor(20_000, 'the Sentinel to know both replicas', async () => {
    const told = await run('redis-cli', ['-p', String(ports.sentinel), 'sentinel', 'replicas', masters.replicated]);
    return told.match(/^runid$/gm)?.length === 2;
  });
}

/** Ready: a write of this durability is acknowledged, so that its reads find the session too. */
async function startService(port: number, master: string, durability: Durability): Promise<{ readonly pid: number }> {
  const service = await startPinned(serverCpu, serviceArgv(port, master, durability), port);
  await waitFor(20_000, `the service to acknowledge ${durability} writes`, () => putSession(port));
  return service;
}
