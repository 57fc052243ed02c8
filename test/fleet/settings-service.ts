import { expect, test } from 'vitest';
import { nodeNamed, nodesOf } from '../../actions/core/environment/nodes.ts';
import { environment, onEach, onNode, rulesFor, settled } from './nodes.ts';

const { app } = environment;
const one = nodeNamed(environment, 'app-1');
const two = nodeNamed(environment, 'app-2');

/** Sends the signal to sessiond's process so many times, each time to the next one: how long it took until there was another (ms). */
async function replaced(signal: 'KILL' | 'STOP', times: number): Promise<number[]> {
  const said = await onNode(
    two.name,
    `now() { date +%s%3N; }; main() { systemctl show --property MainPID --value sessiond; }
    for time in $(seq ${times}); do
      old=$(main) from=$(now)
      kill -s ${signal} "$old"
      while new=$(main); [ "$new" = "$old" ] || [ "$new" = 0 ]; do
        if [ $(($(now) - from)) -gt 5000 ]; then kill -s CONT "$old"; echo "no other process after $time" >&2; exit 1; fi
        sleep 0.01
      done
      echo $(($(now) - from))
    done`,
  );
  await settled();
  return said.split('\n').map(Number);
}

export function serviceSettings(): void {
  test('is killed within watchdogMs of a hang, and started again (WatchdogSec, WatchdogSignal)', async () => {
    const [ms] = await replaced('STOP', 1);
    expect(ms).toBeGreaterThan(app.watchdogMs / 4);
    expect(ms).toBeLessThan(app.watchdogMs + 1000 * app.restartS + 500);
  });

  test('is started again each time that it dies, six times in a row (Restart, RestartSec, StartLimitIntervalSec)', async () => {
    const all = await replaced('KILL', 6);
    expect(all).toHaveLength(6);
    for (const ms of all) expect(ms).toBeLessThan(1000 * app.restartS + 900);
  });

  test('has file descriptors, and no privilege: none to gain, none to use, system calls filtered', async () => {
    const asked =
      'main=/proc/$(systemctl show --property MainPID --value sessiond); cat $main/status; grep "open files" $main/limits';
    for (const { said } of await onEach('app', asked)) {
      expect(said).toMatch(/^NoNewPrivs:\s+1$/m);
      expect(said).toMatch(/^CapEff:\s+0+$/m);
      expect(said).toMatch(/^CapBnd:\s+0+$/m);
      expect(said).toMatch(/^Seccomp:\s+2$/m);
      // 65536, or what the machine has at most; without LimitNOFILE it is 1024.
      expect(Number(/^Max open files\s+(\d+)\s/m.exec(said)?.[1])).toBeGreaterThanOrEqual(16_384);
      expect(said).not.toMatch(/^Uid:\s+0\s/m);
    }
  });

  test('gives up a primary that is silent for redisDeadMs, and a client who waited holdMs in all, here or elsewhere', async () => {
    const leftMs = 1000;
    const redis = nodesOf(environment, 'redis').map(({ address }) => address);
    const said = await onNode(
      one.name,
      `from=$(date +%s%3N)
      ${rulesFor(4000, redis, 'drop')}
      sleep 1.5
      came=$(($(date +%s%3N) - ${app.holdMs - leftMs}))
      curl -s -m 8 -o /dev/null -w '%{http_code} %{time_total}\\n' -H "X-Request-Start: t=$came" http://127.0.0.1:${app.port}/v1/sessions/settings
      echo "$from"
      journalctl -u sessiond --since "@$((from / 1000))" -o short-unix --no-pager | grep 'is suspected' | head -n 1`,
    );
    await onNode(one.name, 'nft delete table inet settings');
    await settled();
    const [answer = '', from = '', suspected = ''] = said.split('\n');
    const [status, seconds] = answer.split(' ').map(Number);
    expect(status, said).toBe(503);
    expect(Math.abs(1000 * (seconds ?? 0) - leftMs), said).toBeLessThan(250);
    // It was heard last up to redisPingMs before.
    const suspectedMs = 1000 * Number.parseFloat(suspected) - Number(from);
    expect(suspectedMs, said).toBeGreaterThan(app.redisDeadMs - app.redisPingMs - 150);
    expect(suspectedMs, said).toBeLessThan(app.redisDeadMs + 250);
  });
}
