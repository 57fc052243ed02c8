import { expect, test } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import { environment, onEach, onNode, pairs, redisRoles, toRedis } from './nodes.ts';

const { redis, sentinel } = environment;
const nodes = nodesOf(environment, 'redis');
const replicas = nodes.length - 1;

/** What each of them says at run time. */
const inForce = {
  appendfsync: redis.appendfsync,
  appendonly: 'yes',
  'lazyfree-lazy-expire': 'yes',
  maxmemory: String(redis.maxmemoryMb * 1024 * 1024),
  'maxmemory-policy': 'noeviction',
  'min-replicas-max-lag': String(redis.minReplicasMaxLagS),
  'min-replicas-to-write': String(redis.minReplicasToWrite),
  'protected-mode': 'yes',
  'repl-diskless-sync-delay': '0',
  'replica-priority': '100',
  'replica-read-only': 'yes',
  'stop-writes-on-bgsave-error': 'no',
  'tcp-keepalive': '10',
};

export function redisSettings(): void {
  test('has what each of the three needs to be primary or replica', async () => {
    const asked = toRedis(`CONFIG GET ${Object.keys(inForce).join(' ')}`);
    // A replica that was just restarted has its priority back some seconds later.
    const all = async () => {
      for (const { node, said } of await onEach('redis', asked)) expect(pairs(said), node.name).toEqual(inForce);
      return true;
    };
    await until(all, { timeoutMs: 10_000, intervalMs: 500, what: 'the settings' });
  });

  test('has a write on the disks of all three (appendonly, appendfsync)', async () => {
    const primary = (await redisRoles()).find(({ role }) => role === 'master')?.node;
    // With appendfsync no nobody ever confirms; without appendonly the primary refuses to be asked.
    const said = await onNode(
      primary?.name ?? '',
      `printf 'SET settings:fsync x EX 10\\nWAITAOF 1 ${replicas} 5000\\n' | ${toRedis('')}`,
    );
    expect(said).toBe(`OK\n1\n${replicas}`);
  });

  test('keeps backlogMb, and a primary counts the replicas without which it takes no write (min-replicas)', async () => {
    const answers = await onEach('redis', toRedis('INFO replication'));
    for (const { said } of answers)
      expect(said).toMatch(new RegExp(`^repl_backlog_size:${redis.backlogMb * 2 ** 20}\\r?$`, 'm'));
    const counts = answers.flatMap(({ said }) =>
      /^role:master/m.test(said) ? said.match(/^min_slaves_good_slaves:\d+/m) : [],
    );
    expect(counts).toEqual([`min_slaves_good_slaves:${replicas}`]);
  });

  test('takes no write as a replica', async () => {
    const replica = (await redisRoles()).find(({ role }) => role === 'slave')?.node;
    expect(await onNode(replica?.name ?? '', `${toRedis('SET settings:replica x')} 2>&1 || true`)).toMatch(/^READONLY/);
  });

  test('answers nobody without the password, nor does Sentinel (requirepass)', async () => {
    const asked = [
      ...nodes.map(({ address }) => `-h ${address} -p ${redis.port}`),
      ...nodesOf(environment, 'sentinel').map(({ address }) => `-h ${address} -p ${sentinel.port}`),
    ];
    const said = await onNode('sentinel-1', `${asked.map((to) => `redis-cli ${to} PING 2>&1`).join('; ')}; true`);
    expect(said.split('\n').filter((line) => line !== '')).toEqual(asked.map(() => expect.stringMatching(/^NOAUTH/)));
  });

  test('listens on its private address and on loopback only, and so does Sentinel (bind)', async () => {
    for (const [role, port] of [
      ['redis', redis.port],
      ['sentinel', sentinel.port],
    ] as const) {
      const listening = `ss -Htln sport = :${port} | awk '{ print $4 }' | sort`;
      for (const { node, said } of await onEach(role, listening))
        expect(said.split('\n')).toEqual([`127.0.0.1:${port}`, `${node.address}:${port}`]);
    }
  });

  test('and all else that a promise rests on is started again without a limit (StartLimitIntervalSec)', async () => {
    for (const [role, ...units] of [
      ['redis', 'redis-server', 'firedrill-redis-follow'],
      ['sentinel', 'redis-sentinel', 'firedrill-sentinel-margin'],
      ['lb', 'haproxy', 'keepalived'],
    ] as const) {
      const asked = `systemctl show --property StartLimitIntervalUSec --property Restart ${units.join(' ')}`;
      for (const { said } of await onEach(role, asked)) {
        expect(said.match(/^StartLimitIntervalUSec=0$/gm), said).toHaveLength(units.length);
        expect(said.match(/^Restart=always$/gm), said).toHaveLength(units.length);
      }
    }
  });
}
