import { readFileSync } from 'node:fs';
import { retriesOf } from '../../actions/core/haproxy.ts';
import { renderTemplate } from '../../actions/rollout/render.ts';

/** The deployment under test: every program on a loopback address of its own, on its usual port. */

export const redisHosts = ['127.0.1.1', '127.0.1.2', '127.0.1.3'] as const;
export const sentinelHosts = ['127.0.2.1', '127.0.2.2', '127.0.2.3'] as const;
export const appHosts = ['127.0.4.1', '127.0.4.2'] as const;
export const balancer = { host: '127.0.3.1', port: 80 } as const;
export const redisPort = 6379;
export const sentinelPort = 26379;
export const appPort = 8080;
export const password = 'failover-secret';
export const masterName = 'mymaster';
export const downAfterMs = 1000;
export const pingMs = 300;
/** How long the service holds a request, as in production: a failover that is shorter must not fail one. */
export const holdMs = 4000;

export const durabilities = ['async', 'replicated', 'fsynced'] as const;
export type Durability = (typeof durabilities)[number];

/** `primary` undefined: it starts as one. */
export function redisConf(host: string, primary: string | undefined): string {
  return `port ${redisPort}
bind ${host}
bind-source-addr ${host}
replica-announce-ip ${host}
dir /var/lib/failover/redis-${host}
requirepass ${password}
masterauth ${password}
appendonly yes
save ""
repl-diskless-sync-delay 0
repl-backlog-size 64mb
min-replicas-to-write 1
min-replicas-max-lag 2
tcp-keepalive 10
${primary === undefined ? '' : `replicaof ${primary} ${redisPort}\n`}`;
}

/** Born knowing each other and the replicas, so that a round starts at once and not after their hellos. */
export function sentinelConf(host: string): string {
  const id = (of: string): string => of.replaceAll('.', '').padEnd(40, 'a');
  const others = sentinelHosts.filter((each) => each !== host);
  return `port ${sentinelPort}
bind ${host}
bind-source-addr ${host}
dir /var/lib/failover/sentinel-${host}
requirepass ${password}
sentinel announce-ip ${host}
sentinel sentinel-pass ${password}
sentinel myid ${id(host)}
sentinel monitor ${masterName} ${redisHosts[0]} ${redisPort} 2
sentinel auth-pass ${masterName} ${password}
sentinel down-after-milliseconds ${masterName} ${downAfterMs}
sentinel failover-timeout ${masterName} 6000
sentinel parallel-syncs ${masterName} 2
${redisHosts
  .slice(1)
  .map((each) => `sentinel known-replica ${masterName} ${each} ${redisPort}`)
  .join('\n')}
${others.map((each) => `sentinel known-sentinel ${masterName} ${each} ${sentinelPort} ${id(each)}`).join('\n')}
`;
}

export function sessiondConf(host: string, durability: Durability): string {
  return `listen = ${host}
port = ${appPort}
sentinels = ${sentinelHosts.map((each) => `${each}:${sentinelPort}`).join(', ')}
master-name = ${masterName}
sentinel-password = ${password}
redis-password = ${password}
durability = ${durability}
hold-ms = ${holdMs}
`;
}

/** The configuration that is rolled out, with the environments' defaults. */
export function haproxyCfg(): string {
  const file = new URL('../../configs/haproxy/haproxy.cfg', import.meta.url);
  return renderTemplate('configs/haproxy/haproxy.cfg', readFileSync(file, 'utf8'), {
    haproxy: {
      port: balancer.port,
      mode: 'http',
      balance: 'leastconn',
      connectTimeoutMs: 200,
      clientTimeoutMs: 50_000,
      responseTimeoutMs: 800,
      retries: retriesOf(holdMs, 800),
      serverTimeoutMs: 10_000,
      silentMs: 250,
      keepaliveS: 1,
      checkIntervalMs: 250,
      checkTimeoutMs: 500,
      fastIntervalMs: 100,
      fall: 2,
      rise: 2,
      maxConnections: 4000,
    },
    app: { port: appPort },
    node: { name: 'lb-1', address: balancer.host },
    shared: null,
    nodes: { app: appHosts.map((address, index) => ({ name: `app-${index + 1}`, address })) },
  }).text.replace('log /dev/log local0', 'log stdout format raw local0'); // there is no syslog here
}
