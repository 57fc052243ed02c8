/**
 * The settings of the document that this system comes from, as it gives them: three Redis, three Sentinels, nothing else. What differs
 * is what two deployments on the same machines need: ports and folders of their own, systemd instead of `daemonize`, and the password
 * that the document has as an option, for without one Redis answers to nobody outside of its machine.
 */

export const redisPort = 16379;
export const sentinelPort = 36379;
export const masterName = 'mymaster';

export interface ReferenceSettings {
  /** The address of the Redis that starts as primary. */
  readonly primary: string;
  readonly password: string;
}

/** redis.conf of the node at `address`. Pure. */
export function redisConf(address: string, { primary, password }: ReferenceSettings): string {
  const replica = `replica-serve-stale-data yes
replica-read-only yes
repl-disable-tcp-nodelay no
repl-backlog-size 1mb
repl-backlog-ttl 3600
slave-priority 100
replicaof ${primary} ${redisPort}
`;
  return `port ${redisPort}
bind 0.0.0.0
appendonly yes
requirepass ${password}
masterauth ${password}
${address === primary ? '' : replica}`;
}

/** sentinel.conf, the same on each of its nodes. Pure. */
export function sentinelConf({ primary, password }: ReferenceSettings): string {
  return `port ${sentinelPort}
bind 0.0.0.0
sentinel monitor ${masterName} ${primary} ${redisPort} 2
sentinel down-after-milliseconds ${masterName} 5000
sentinel parallel-syncs ${masterName} 1
sentinel failover-timeout ${masterName} 10000
sentinel auth-pass ${masterName} ${password}
`;
}
