import { expect, test } from 'vitest';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import { environment, onEach, onNode, pairs, redisRoles, settled, toRedis, toSentinel } from './nodes.ts';

const { sentinel } = environment;
const sentinels = nodesOf(environment, 'sentinel');

export function sentinelSettings(): void {
  test('goes by quorum, downAfterMs, failoverTimeoutMs, parallelSyncs, pingMs and tiltMs, all three', async () => {
    const asked = `${toSentinel(`SENTINEL MASTER ${sentinel.masterName}`)}; ${toSentinel('SENTINEL DEBUG')}`;
    for (const { said } of await onEach('sentinel', asked))
      expect(pairs(said)).toMatchObject({
        quorum: String(sentinel.quorum),
        'down-after-milliseconds': String(sentinel.downAfterMs),
        'failover-timeout': String(sentinel.failoverTimeoutMs),
        'parallel-syncs': String(sentinel.parallelSyncs),
        'PING-PERIOD': String(sentinel.pingMs),
        'TILT-PERIOD': String(sentinel.tiltMs),
      });
  });

  test('pings a Redis every pingMs, all three', async () => {
    const replica = (await redisRoles()).find(({ role }) => role === 'slave')?.node;
    const forS = 3;
    const monitor = toRedis('MONITOR', `timeout ${forS}`);
    const said = await onNode(replica?.name ?? '', `{ ${monitor}; } | grep -i '"ping"' || true`);
    const expected = (forS * 1000) / sentinel.pingMs;
    for (const { address } of sentinels) {
      const pings = said.split('\n').filter((line) => line.includes(` ${address}:`)).length;
      // It looks at its clock 10 to 20 times a second, so it is always somewhat late; with its own period there are fewer than half.
      expect(pings, said).toBeGreaterThanOrEqual(expected * 0.6);
      expect(pings, said).toBeLessThanOrEqual(expected * 1.3);
    }
  });

  test('acts again tiltMs after it was paused (TILT)', async () => {
    const paused = sentinels.at(-1)?.name ?? '';
    const said = await onNode(
      paused,
      `now() { date +%s%3N; }; main=$(systemctl show --property MainPID --value redis-sentinel)
      kill -s STOP "$main"; sleep 2.5; kill -s CONT "$main"
      from=$(now) last=
      while [ $(($(now) - from)) -lt ${sentinel.tiltMs + 2000} ]; do
        tilt=$(${toSentinel('INFO sentinel')} | tr -d '\\r' | sed -n 's/^sentinel_tilt://p')
        if [ "$tilt" != "$last" ]; then echo "$tilt $(($(now) - from))"; last=$tilt; fi
        sleep 0.02
      done`,
    );
    await settled();
    const changes = said.split('\n').map((line) => line.split(' ').map(Number));
    expect(changes.map(([tilt]) => tilt).slice(-2), said).toEqual([1, 0]);
    const [begun = 0, over = 0] = changes.slice(-2).map(([, ms]) => ms);
    expect(over - begun, said).toBeGreaterThan(sentinel.tiltMs - 300);
    expect(over - begun, said).toBeLessThan(sentinel.tiltMs + 500);
  });
}
