import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { type Ended, invocations, otherClone, runLab, type Started, startLab } from '../fleet/lab-command.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { lab, stateDir } from '../lab/paths.ts';
import { startTraffic } from './traffic.ts';

/** What can happen to a rollout, on real machines: after each the fleet serves, nothing is lost, and the next run repairs or says why not. */

const missing = await preflight(lab);
const skipReason =
  missing.length === 0 ? undefined : `the lab needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;
let other: ReturnType<typeof otherClone>;
let traffic: ReturnType<typeof startTraffic>;

beforeAll(async () => {
  if (skipReason !== undefined) return;
  const { code, output } = await runLab(['--keep'], 900_000);
  expect(code, output).toBe(0);
});
beforeEach(({ skip }) => {
  if (skipReason !== undefined) skip(skipReason);
  other = otherClone();
  const state = JSON.parse(readFileSync(`${stateDir}/linode.json`, 'utf8'));
  const lb = state.instances.find((each: { label: string }) => each.label.endsWith('-lb-1'));
  traffic = startTraffic(`http://${lb.publicAddress}/v1/sessions`);
});
afterEach(async () => {
  if (skipReason !== undefined) return;
  const { lost, acknowledged } = traffic.end();
  other.remove();
  await repaired([]);
  const { output } = await runLab(['status']);
  expect(acknowledged).toBeGreaterThan(50);
  expect(lost).toEqual([]);
  expect(output).not.toMatch(/inactive|failed|unreachable|unconfirmed/);
  expect(output.match(/ primary$/gm)).toHaveLength(1);
});
afterAll(async () => {
  if (skipReason === undefined) await runLab(['down']);
});

/** Runs the rollout until it goes through: a dead run's lease, or a node on its way back, may stand before it. */
async function repaired(args: readonly string[]): Promise<Ended> {
  return await until(
    async () => {
      const run = await runLab(['rollout', ...args]);
      return run.code === 0 ? run : Promise.reject(new Error(run.output.slice(-2000)));
    },
    { timeoutMs: 240_000, intervalMs: 3000, what: 'a rollout that goes through' },
  );
}

const from = () => ['--from', other.folder];
const on = (node: string, command: string) => runLab(['ssh', node, `sudo sh -c '${command}'`], 30_000);

/** A rollout that has come to this line of its output. */
async function rolloutAt(line: RegExp): Promise<Started> {
  const run = startLab(['rollout', ...from()]);
  const seen = async () => (line.test(run.output()) ? true : undefined);
  await until(seen, { timeoutMs: 90_000, intervalMs: 5, what: `${line}` });
  return run;
}

/** Another release of the apps, whose start and whose gate take some seconds: time to break something. */
function slowApps(): void {
  other.edit('configs/app/sessiond.service', (text) =>
    text.replace('Restart=always', 'ExecStartPre=/bin/sleep 4\nRestart=always'),
  );
  other.edit('environments/lab.yaml', (text) => text.replace('canaryMs: 1000', 'canaryMs: 8000'));
}

describe('the runner is killed', () => {
  test.each([
    ['while it stages', /app-1 +stage/],
    ['while the node restarts its service', /app-1 +switch/],
    ['while the node proves itself', /app-1 +active/],
    ['right after the gate', /app-1 +gate/],
    ['between two nodes', /app-1 +confirm/],
  ])('%s', async (_, line) => {
    slowApps();
    const killed = await rolloutAt(line);
    killed.killAll();
    await killed.ended;
    expect((await repaired(from())).output).toMatch(/app-2 +confirm/);
    expect((await runLab(['rollout', ...from()])).output).toMatch(/nothing to change/);
  });

  test('and nobody comes after it: the node goes back by itself', async () => {
    slowApps();
    const killed = await rolloutAt(/app-1 +active/);
    killed.killAll();
    await killed.ended;
    expect((await runLab(['status'])).output).toMatch(/app-1 .*unconfirmed for \d+ s/);
    const { output } = await until(
      async () => {
        const status = await runLab(['status']);
        return /unconfirmed/.test(status.output) ? undefined : status;
      },
      { timeoutMs: 120_000, intervalMs: 2000, what: 'the dead-man of app-1' },
    );
    const releases = [...output.matchAll(/^app-\d .*release (\w+)/gm)].map((match) => match[1]);
    expect(new Set(releases).size).toBeGreaterThan(0);
    expect((await runLab(['rollout'])).output).toMatch(/nothing to change/);
  });
});

describe('the network to the node is cut', () => {
  // No ssh for half a minute; what the node does with its neighbours goes on.
  const cut =
    'nft add table inet cut; nft add chain inet cut i "{ type filter hook input priority 0; }"; nft add rule inet cut i tcp dport 22 drop';
  const healed = 'systemd-run --quiet --on-active=30 --timer-property=AccuracySec=100ms nft delete table inet cut';

  test.each([
    ['while it stages', /app-1 +users/],
    ['while it restarts its service', /app-1 +switch/],
    ['while it proves itself', /app-1 +active/],
  ])('%s', async (_, line) => {
    slowApps();
    const run = await rolloutAt(line);
    await on('app-1', `${healed}; ${cut}`);
    const { code, output } = await run.ended;
    expect(code, output).toBe(1);
    expect(output).toMatch(/app-1/);
    await repaired(from());
  });
});

test('the node is rebooted while its release waits for the confirmation', async () => {
  slowApps();
  const run = await rolloutAt(/app-1 +active/);
  await on('app-1', 'reboot');
  const { code, output } = await run.ended;
  expect(code, output).toBe(1);
  await repaired(from());
});

test('the disk is full: refused before anything is changed, with the reason', async () => {
  slowApps();
  await on(
    'app-2',
    'fallocate -l $(($(df --output=avail -k /var/lib/firedrill | tail -n 1) - 2000))K /var/tmp/fill || dd if=/dev/zero of=/var/tmp/fill bs=1M',
  );
  const before = invocations();
  const { code, output } = await runLab(['rollout', ...from()]);
  await on('app-2', 'rm -f /var/tmp/fill');
  expect(code, output).toBe(1);
  expect(output).toMatch(/app-2.*(the disk has \d+ MB left|No space left)/s);
  expect(invocations()).toBe(before);
});

describe('a release that is wrong', () => {
  test('passes the checker and fails the gate: taken back, told with evidence, refused until it is forced', async () => {
    other.edit('configs/app/sessiond.service', (text) => text.replace('--port {{ app.port }}', '--port 8081'));
    const failed = await runLab(['rollout', ...from()]);
    expect(failed.code, failed.output).toBe(1);
    expect(failed.output).toMatch(/app-1, gate: no(t reached| progress)/);
    expect(failed.output).toMatch(/journal of sessiond/);
    expect(failed.output).toMatch(/\+ .*--port 8081/);
    expect((await runLab(['rollout'])).output).toMatch(/nothing to change/);
    const again = await runLab(['rollout', ...from()]);
    expect(again.output).toMatch(/refused, nothing was changed\n *app-1: release \w+ failed in run/);
    const forced = await runLab(['rollout', '--force', ...from()]);
    expect(forced.output).toMatch(/app-1 +switch/);
    expect(forced.code).toBe(1);
  });

  test('crashes after 10 s: the canary finds it, and the nodes before it go back too', async () => {
    other.edit('configs/app/sessiond.service', (text) =>
      text.replace('Restart=always', 'RuntimeMaxSec=10\nRestart=always'),
    );
    other.edit('configs/sentinel/redis-sentinel.service.conf', (text) => `${text}\n# another release\n`);
    other.edit('environments/lab.yaml', (text) => text.replace('canaryMs: 1000', 'canaryMs: 12000'));
    const { code, output } = await runLab(['rollout', ...from()]);
    expect(code, output).toBe(1);
    expect(output).toMatch(/app-1, gate: .*(started it again|well and lost it)/);
    expect(output).toMatch(/sentinel-3, sentinel-2, sentinel-1: taken back/);
    expect((await runLab(['rollout'])).output).toMatch(/nothing to change/);
  });
});

describe('two rollouts', () => {
  test('at once: one of them works, the other waits for it or says who is at work', async () => {
    slowApps();
    const first = await rolloutAt(/app-1 +switch/);
    const second = await runLab(['rollout', ...from()]);
    if (second.code !== 0) expect(second.output).toMatch(/run \w+ \(lab-\d+\) .*(alive|at work|lease)/);
    expect((await first.ended).code, first.output()).toBe(0);
  });

  test('an older one that finishes after a newer one is refused by every node', async () => {
    slowApps();
    const older = await rolloutAt(/app-1 +active/);
    if (older.child.pid === undefined) throw new Error('no process');
    process.kill(-older.child.pid, 'SIGSTOP');
    const newer = await repaired([]);
    expect(newer.output).toMatch(/left release \w+ unconfirmed|nothing to change/);
    const before = invocations();
    process.kill(-older.child.pid, 'SIGCONT');
    const { code, output } = await older.ended;
    expect(code, output).toBe(1);
    expect(invocations()).toBe(before);
  });
});

describe('the fleet is not well', () => {
  test('a Sentinel hangs: no other one is restarted, and the reason is told', async () => {
    other.edit('configs/sentinel/redis-sentinel.service.conf', (text) => `${text}\n# another release\n`);
    await on('sentinel-3', 'systemctl kill --kill-who=main -s STOP redis-sentinel');
    const { code, output } = await runLab(['rollout', ...from()]);
    await on('sentinel-3', 'systemctl kill --kill-who=main -s CONT redis-sentinel');
    expect(code, output).toBe(1);
    expect(output).toMatch(/survive|sentinel-3/);
    await repaired(from());
  });

  test('a replica never catches up: the other one is not restarted, and the primary hands over to nobody', async () => {
    other.edit('configs/redis/redis-server.service.conf', (text) => `${text}\n# another release\n`);
    const status = (await runLab(['status'])).output;
    const [behind = ''] = [...status.matchAll(/^(redis-\d) .*replica of/gm)].map((match) => match[1] ?? '').slice(-1);
    const primary = /^(redis-\d) .* primary$/m.exec(status)?.[1];
    await on(
      behind,
      'nft add table inet cut; nft add chain inet cut i "{ type filter hook input priority 0; }"; nft add rule inet cut i iifname eth0 tcp sport 6379 drop',
    );
    await sleep(4000);
    const { code, output } = await runLab(['rollout', ...from()]);
    await on(behind, 'nft delete table inet cut');
    expect(code, output).toBe(1);
    expect(output).toMatch(/survive: .*(replicas are linked|does not answer)|gate: .*(lags|link)/);
    expect((await runLab(['status'])).output).toMatch(new RegExp(`^${primary} .* primary$`, 'm'));
    await repaired(from());
  });
});

test('a rollback takes the nodes of the last rollout back, and nothing else', async () => {
  other.edit('environments/lab.yaml', (text) => text.replace('checkIntervalMs: 500', 'checkIntervalMs: 400'));
  const before = (await runLab(['status'])).output;
  expect((await runLab(['rollout', ...from()])).code).toBe(0);
  const { code, output } = await runLab(['rollback']);
  expect(code, output).toBe(0);
  expect(output).toMatch(/lb-1 +confirm/);
  expect(output).not.toMatch(/app-1 +switch/);
  const release = (text: string) => /^lb-1 .*release (\w+)/m.exec(text)?.[1];
  expect(release((await runLab(['status'])).output)).toBe(release(before));
});
