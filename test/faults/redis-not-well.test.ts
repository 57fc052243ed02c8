import { describe, expect, test } from 'vitest';
import { sleep } from '../../actions/core/deadline.ts';
import { invocations, runInside } from '../fleet/lab-command.ts';
import { from, holdPromises, lastLine, on, other, redisRoles, repaired, tell } from './fixture.ts';

holdPromises();

const shorterGate = () =>
  other.edit('environments/lab.yaml', (text) =>
    text.replace('canaryMs: 1000', 'canaryMs: 1000\n  gateTimeoutMs: 12000'),
  );

describe('the fleet is not well', () => {
  test('a Sentinel hangs: no other one is restarted, and the reason is told', async () => {
    other.edit('configs/sentinel/redis-sentinel.service.conf', (text) => `${text}\n# another release\n`);
    shorterGate();
    await on('sentinel-3', 'systemctl kill --kill-who=main -s STOP redis-sentinel');
    const before = invocations();
    const { code, output } = await runInside(['rollout', ...from()]);
    const after = invocations();
    await on('sentinel-3', 'systemctl kill --kill-who=main -s CONT redis-sentinel');
    expect(code, output).toBe(1);
    expect(output).toMatch(/sentinel-1, survive: .*other Sentinels are well; a failover needs 2/);
    expect(after).toBe(before);
    tell(/^sentinel-1, survive: .*$/m.exec(output)?.[0] ?? '');
    tell(`the next run ${lastLine((await repaired(from())).output)}`);
  });

  test('a Sentinel lies behind and names the primary of before: nobody believes it, and the rollout waits or says why not', async () => {
    other.edit('configs/sentinel/redis-sentinel.service.conf', (text) => `${text}\n# another release\n`);
    shorterGate();
    const { primary: before } = await redisRoles();
    await on('sentinel-3', 'systemctl kill --kill-who=main -s STOP redis-sentinel');
    // A clean stop hands over.
    await on(before, 'systemctl restart redis-server');
    const { primary: now } = await redisRoles();
    expect(now).not.toBe(before);
    await on('sentinel-3', 'systemctl kill --kill-who=main -s CONT redis-sentinel');
    const { code, output } = await runInside(['rollout', ...from()]);
    if (code !== 0) expect(output).toMatch(/^sentinel-\d, (survive|gate): /m);
    tell(/^sentinel-\d, \w+: .*$/m.exec(output)?.[0] ?? `the run waited for it: ${lastLine(output)}`);
    tell(`the next run ${lastLine((await repaired(from())).output)}`);
    expect((await redisRoles()).primary).toBe(now);
  });

  test('a replica never catches up: no other Redis is restarted, and the primary hands over to nobody', async () => {
    other.edit('configs/redis/redis-server.service.conf', (text) => `${text}\n# another release\n`);
    shorterGate();
    const { primary, replicas } = await redisRoles();
    const behind = replicas.at(-1) ?? '';
    // What the primary sends does not arrive there; all else does.
    await on(
      behind,
      'nft add table inet cut; nft add chain inet cut i "{ type filter hook input priority 0; }"; nft add rule inet cut i iifname eth0 tcp sport 6379 drop',
    );
    await sleep(4000);
    const before = invocations();
    const { code, output } = await runInside(['rollout', ...from()]);
    const after = invocations();
    await on(behind, 'nft delete table inet cut');
    expect(code, output).toBe(1);
    expect(output).toMatch(/survive: .*(replicas are linked|does not answer)|gate: .*(lags|link)/);
    tell(/^redis-\d, \w+: .*$/m.exec(output)?.[0] ?? '');
    expect(after).toBe(before);
    expect((await redisRoles()).primary).toBe(primary);
    tell(`the next run ${lastLine((await repaired(from())).output)}`);
  });
});
