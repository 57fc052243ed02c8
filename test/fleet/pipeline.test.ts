import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import { startTraffic } from '../faults/traffic.ts';
import { listNamespaces } from '../lab/machines/network.ts';
import { mountsUnder } from '../lab/machines/overlay.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { labProcesses } from '../lab/machines/processes.ts';
import { lab, outDir, stateDir } from '../lab/paths.ts';
import { afterFault, holder } from './balancers.ts';
import { invocations, otherClone, request, runLab, startLab } from './lab-command.ts';
import { environment, onNode, redisCli } from './nodes.ts';
import { settingsTests } from './settings.ts';

/** One fleet for the whole file, made and unmade by the commands that the README names. */

const missing = await preflight(lab);
const skipReason =
  missing.length === 0 ? undefined : `the lab needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;
let other: ReturnType<typeof otherClone>;
let serviceUrl = '';
/** The address that the load balancers share. */
const shared = environment.haproxy.shared?.address ?? '';

beforeAll(() => {
  if (skipReason === undefined) rmSync(outDir, { recursive: true, force: true });
});
beforeEach(({ skip }) => {
  if (skipReason !== undefined) skip(skipReason);
  other = otherClone();
});
afterEach(() => other?.remove());
afterAll(async () => {
  if (skipReason === undefined) await runLab(['down']);
});

/** Whether Prometheus says that this alert fires. */
async function fires(alert: string): Promise<true | undefined> {
  const { body } = request('http://198.18.0.51:9090/api/v1/alerts');
  const { data } = JSON.parse(body) as { data: { alerts: { state: string; labels: { alertname: string } }[] } };
  return data.alerts.some(({ state, labels }) => state === 'firing' && labels.alertname === alert) || undefined;
}

describe('npm run lab', () => {
  test('deploys this commit and drills it, and leaves measured figures', async () => {
    const run = await runLab(['--keep'], 900_000);
    expect(run.output).toMatch(/workflow deploy/);
    expect(run.code, run.output).toBe(0);
    const report = JSON.parse(readFileSync(`${outDir}/drill.json`, 'utf8'));
    expect(report).toMatchObject({ version: 1, environment: 'lab', ok: true });
    expect(report.scenarios).toHaveLength(5);
    for (const scenario of report.scenarios) {
      for (const run of scenario.runs) {
        expect(run.requests).toBeGreaterThan(1000);
        expect(run.ackedWrites).toBeGreaterThan(500);
        expect(run.lostWrites).toBe(0);
      }
    }
    const comment = readFileSync(`${outDir}/pull-request.md`, 'utf8');
    for (const scenario of report.scenarios) expect(comment).toContain(scenario.name);
    expect(comment).toContain(report.commit.slice(0, 12));
  });

  test('status shows every node, who is primary, the lag and what HAProxy thinks', async () => {
    const { code, output } = await runLab(['status']);
    expect(code, output).toBe(0);
    const rows = output.split('\n').filter((line) => /^(redis|sentinel|app|lb|monitor)-\d/.test(line));
    expect(rows).toHaveLength(11);
    expect(rows.filter((row) => /primary$/.test(row.trim()))).toHaveLength(1);
    expect(rows.filter((row) => /replica of redis-\d, lag \d+ B/.test(row))).toHaveLength(2);
    expect(rows.filter((row) => /lb-1: UP, lb-2: UP/.test(row))).toHaveLength(2);
    expect(rows.filter((row) => row.endsWith(`holds ${shared}`))).toHaveLength(1);
    expect(rows.filter((row) => /2 others, quorum/.test(row))).toHaveLength(3);
    expect(output).not.toMatch(/inactive|failed|unreachable/);
    serviceUrl = `http://${shared}/v1/sessions`;
    expect(request(`${serviceUrl}/test-status`, ['--request', 'PUT', '--data', 'kept']).status).toBe(204);
    expect(request(`${serviceUrl}/test-status`)).toEqual({ status: 200, body: 'kept' });
  });
});

/** Here, where nothing was rolled out since: it is this work tree's settings that are in force. */
describe('a setting on which a promise rests is in force', settingsTests);

describe('a rollout', () => {
  test('of the same commit changes nothing and restarts nothing', async () => {
    const before = invocations();
    const { code, output } = await runLab(['rollout']);
    expect(code, output).toBe(0);
    expect(output).toMatch(/nothing to change in \d+\.\d+ s/);
    expect(invocations()).toBe(before);
  });

  test('of a changed HAProxy setting reloads HAProxy on both load balancers and touches nothing else', async () => {
    other.edit('environments/lab.yaml', (text) => text.replace('checkIntervalMs: 250', 'checkIntervalMs: 400'));
    const before = invocations();
    const { code, output } = await runLab(['rollout', '--from', other.folder]);
    expect(code, output).toBe(0);
    expect(output).toMatch(/lb-1 +reload/);
    expect(output).toMatch(/lb-2 +reload/);
    const touched = output.split('\n').filter((line) => / (switch|reload|restart) /.test(line));
    expect(
      touched.every((line) => line.startsWith('lb-')),
      output,
    ).toBe(true);
    const withoutReleases = (text: string) => text.replace(/^(releases\/|\/var\/lib\/firedrill\/).*$/gm, '');
    expect(withoutReleases(invocations())).toBe(withoutReleases(before));
  });

  const refused: [string, string, (text: string) => string, RegExp][] = [
    [
      'an unknown variable',
      'configs/haproxy/haproxy.cfg',
      (text) => text.replace('haproxy.port }}', 'haproxy.prot }}'),
      /configs\/haproxy\/haproxy\.cfg:\d+/,
    ],
    [
      'a broken template',
      'configs/sentinel/sentinel.conf',
      (text) => `${text}\n{% if %}\n`,
      /configs\/sentinel\/sentinel\.conf:\d+/,
    ],
    [
      'a haproxy.cfg that HAProxy refuses',
      'configs/haproxy/haproxy.cfg',
      (text) => text.replace(/^defaults$/m, 'defaults\n  timeout conect 5s'),
      /haproxy\.cfg:\d+/,
    ],
    [
      'an environment with a mistake',
      'environments/lab.yaml',
      (text) => text.replace('quorum: 2', 'quorum: 4'),
      /environments\/lab\.yaml:\d+:\d+: .*quorum 4/,
    ],
  ];
  test.each(refused)('with %s stops before any node is changed, and says where', async (_, file, change, place) => {
    const before = invocations();
    other.edit(file, change);
    const { code, output } = await runLab(['rollout', '--from', other.folder]);
    expect(code, output).toBe(1);
    expect(output).toMatch(place);
    expect(invocations()).toBe(before);
  });

  test('killed between two nodes leaves the fleet serving, and the next one completes', async () => {
    other.edit('environments/lab.yaml', (text) => text.replace('downAfterMs: 700', 'downAfterMs: 800'));
    const killed = startLab(['rollout', '--from', other.folder]);
    await until(async () => (/sentinel-1 +gate/.test(killed.output()) ? true : undefined), {
      timeoutMs: 60_000,
      intervalMs: 5,
      what: "sentinel-1's gate",
    });
    killed.killAll();
    await killed.ended;
    expect(killed.output()).not.toMatch(/sentinel-3 +gate/);
    expect(request(`${serviceUrl}/after-kill`, ['--request', 'PUT', '--data', 'x']).status).toBe(204);
    // A dead run's lease holds for rollout.leaseMs; the next run waits for it or is told to come back.
    const next = await until(
      async () => {
        const run = await runLab(['rollout', '--from', other.folder]);
        return run.code === 0 ? run : undefined;
      },
      { timeoutMs: 90_000, intervalMs: 3000, what: 'the next rollout to complete' },
    );
    expect(next.output).toMatch(/sentinel-3 +gate/);
    expect((await runLab(['rollout', '--from', other.folder])).output).toMatch(/nothing to change/);
    expect((await runLab(['rollout'])).code).toBe(0);
  });
});

describe('the two load balancers', () => {
  test('take the address over from each other when HAProxy dies, and when it hangs', async () => {
    for (const signal of ['KILL', 'STOP'] as const) expect(await afterFault(shared, signal), signal).toBeLessThan(5000);
  });

  test('are told of when none of them holds the address, and when both do', async () => {
    const within = (what: string) => ({ timeoutMs: 60_000, intervalMs: 500, what });
    const deaf =
      'add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; add rule inet deaf in meta l4proto vrrp drop';
    for (const [alert, fault, mend] of [
      ['SharedAddressLost', 'systemctl stop keepalived', 'systemctl start keepalived'],
      ['SharedAddressTwice', `nft '${deaf}'`, 'nft delete table inet deaf'],
    ] as const) {
      const onBoth = (command: string) => Promise.allSettled(['lb-1', 'lb-2'].map((node) => onNode(node, command)));
      try {
        expect((await onBoth(fault)).map((each) => each.status)).toEqual(['fulfilled', 'fulfilled']);
        await until(() => fires(alert), within(alert));
      } finally {
        await onBoth(mend);
      }
      await until(async () => ((await fires(alert)) ? undefined : true), within(`the end of ${alert}`));
    }
    // Clients know one of the two that held it, and hear only later (vrrp_garp_master_refresh) when it was the other who kept it: their
    // connections end then. Those of the next test shall not be among them.
    execFileSync('ip', ['-n', lab.name, 'neigh', 'flush', 'to', shared]);
  });

  test('are both restarted by a rollout, who has the address last, and no request fails', async () => {
    other.edit('configs/keepalived/keepalived.service.conf', (text) => `${text}# another release\n`);
    other.edit('configs/keepalived/haproxy.service.conf', (text) => `${text}# another release\n`);
    const before = await holder();
    const plan = (await runLab(['plan', '--from', other.folder])).output;
    expect(plan).toMatch(new RegExp(`${before} holds the shared address and hands it over first`));
    const traffic = startTraffic(`http://${shared}`);
    const { code, output } = await runLab(['rollout', '--from', other.folder]);
    const { failed, wrong, requests } = await traffic.end();
    expect(code, output).toBe(0);
    const order = [...output.matchAll(/^(lb-\d) +confirm/gm)].map((match) => match[1]);
    expect([order.length, order.at(-1)], output).toEqual([2, before]);
    expect(await holder()).not.toBe(before);
    expect([...failed, ...wrong]).toEqual([]);
    expect(requests).toBeGreaterThan(100);
  });
});

describe('a primary that was cut off', () => {
  test('follows its successor within seconds of its return, and no request fails', async () => {
    const redis = nodesOf(environment, 'redis');
    const named = async () => {
      const said = await onNode(
        'sentinel-1',
        redisCli(
          'firedrill-sentinel.conf',
          `-p 26379 SENTINEL GET-MASTER-ADDR-BY-NAME ${environment.sentinel.masterName}`,
        ),
      );
      return redis.find(({ address }) => address === said.split('\n')[0]);
    };
    const before = await named();
    if (before === undefined) throw new Error('there is no primary');
    const others = [...redis, ...nodesOf(environment, 'sentinel')].filter(({ name }) => name !== before.name);
    const peers = others.map(({ address }) => address).join(', ');
    const chain = (name: string, hook: string, end: string) =>
      `chain ${name} { type filter hook ${hook} priority 0; ip ${end} { ${peers} } drop; }`;
    const role = async () => (await onNode(before.name, redisCli('firedrill.conf', 'ROLE'))).split('\n')[0];
    const traffic = startTraffic(`http://${shared}`);
    try {
      await onNode(
        before.name,
        `nft 'table inet cut { ${chain('in', 'input', 'saddr')}; ${chain('out', 'output', 'daddr')}; }'`,
      );
      const replaced = async () => ((await named())?.name === before.name ? undefined : true);
      await until(replaced, { timeoutMs: 20_000, intervalMs: 500, what: 'a new primary' });
      expect(await role()).toBe('master');
    } finally {
      await onNode(before.name, 'nft delete table inet cut');
    }
    // Sentinel itself waits until it has seen the wrong role for 8 s.
    const demoted = async () => ((await role()) === 'slave' ? true : undefined);
    await until(demoted, { timeoutMs: 5000, intervalMs: 100, what: 'the old primary to follow' });
    const { failed, wrong } = await traffic.end();
    expect([...failed, ...wrong]).toEqual([]);
  });
});

describe('what runs are the workflow files', () => {
  test('a changed input in drill.yml changes what is drilled, and a budget below what is measured fails it', async () => {
    other.edit('.github/workflows/drill.yml', (text) =>
      text.replace(/scenarios: \$\{\{ inputs\.scenarios .*\}\}/, 'scenarios: app-kill redis-primary-kill'),
    );
    other.edit('environments/lab.yaml', (text) =>
      text.replace(
        'requestsPerS: 500',
        'requestsPerS: 500\n  observeMs: 5000\n  budgetsMs: { redis-primary-kill: 50 }',
      ),
    );
    const { code, output } = await runLab(['drill', '--from', other.folder, 'sentinel-kill']);
    expect(code, output).toBe(1);
    expect(output).toMatch(/redis-primary-kill.*budget/);
    const report = JSON.parse(readFileSync(`${outDir}/drill.json`, 'utf8'));
    expect(report.scenarios.map((each: { name: string }) => each.name)).toEqual(['redis-primary-kill', 'app-kill']);
    expect(report.ok).toBe(false);
  });
});

describe('a fleet that breaks its promise', () => {
  test('is caught by the drill: writes that waited for no replica are lost, and two primaries acknowledged at once', async () => {
    other.edit('environments/lab.yaml', (text) =>
      text
        .replace('durability: replicated', 'durability: async')
        .replace('minReplicasToWrite: 1', 'minReplicasToWrite: 0')
        .replace('requestsPerS: 500', 'requestsPerS: 500\n  observeMs: 6000'),
    );
    const chain = 'add chain inet deaf out { type filter hook output priority 0; }';
    const deaf = `add table inet deaf; ${chain}; add rule inet deaf out tcp dport 26379 drop`;
    try {
      const planted = await runLab(['rollout', '--from', other.folder]);
      expect(planted.code, planted.output).toBe(0);
      // One of the apps hears of no failover, and goes on with the old primary.
      await onNode('app-1', `nft '${deaf}'`);
      const { code, output } = await runLab(['drill', '--from', other.folder, 'redis-primary-partition']);
      expect(code, output).toBe(1);
    } finally {
      await onNode('app-1', 'nft delete table inet deaf || true');
      const repaired = await runLab(['rollout']);
      expect(repaired.code, repaired.output).toBe(0);
    }
    const [scenario] = JSON.parse(readFileSync(`${outDir}/drill.json`, 'utf8')).scenarios;
    expect(scenario.runs[0].lostWrites).toBeGreaterThan(50);
    expect(scenario.runs[0].reason).toMatch(
      /two primaries acknowledged writes at the same time; .*acknowledged writes lost/,
    );
    const comment = readFileSync(`${outDir}/pull-request.md`, 'utf8');
    expect(comment).toMatch(
      /split brain: .*the primaries \w{8} and \w{8} acknowledged at the same time, for [\d.]+ ms/,
    );
    for (const what of ['Acknowledged writes were lost', 'Two primaries acknowledged at the same time'])
      expect(comment).toContain(`**${what}: deploy nothing before it is understood.**`);
  });
});

describe('a drill that is killed', () => {
  test('leaves a node that heals itself', async () => {
    other.edit('environments/lab.yaml', (text) =>
      text.replace('requestsPerS: 500', 'requestsPerS: 500\n  healAfterMs: 20000'),
    );
    const killed = startLab(['drill', '--verbose', '--from', other.folder, 'redis-primary-kill']);
    await until(async () => (/broken/.test(killed.output()) ? true : undefined), {
      timeoutMs: 60_000,
      intervalMs: 10,
      what: 'the fault',
    });
    killed.killAll();
    await killed.ended;
    await sleep(2000);
    expect((await runLab(['status'])).output).toMatch(/redis-server (inactive|failed)/);
    await until(
      async () => {
        const { output } = await runLab(['status']);
        const whole = !/inactive|failed/.test(output) && (output.match(/replica of redis-\d, lag/g) ?? []).length === 2;
        return whole ? true : undefined;
      },
      { timeoutMs: 60_000, intervalMs: 1000, what: 'the fleet to be whole' },
    );
  });
});

describe('npm run lab -- down', () => {
  test('leaves no process, mount, namespace or file outside the clone and the cache', async () => {
    const { code, output } = await runLab(['down']);
    expect(code, output).toBe(0);
    expect(labProcesses(lab)).toEqual([]);
    expect(listNamespaces(lab)).toEqual([]);
    expect(mountsUnder(stateDir)).toEqual([]);
    expect(existsSync(stateDir)).toBe(false);
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toMatch(
      /test\/lab\/region\.ts|firedrill-lab/,
    );
  });
});

describe('npm run lab, killed with all that it runs', () => {
  test('takes the machines down with it, by itself', async () => {
    const killed = startLab([]);
    await until(async () => (/success .* Provision/.test(killed.output()) ? true : undefined), {
      timeoutMs: 120_000,
      intervalMs: 50,
      what: 'the machines to be up',
    });
    expect(labProcesses(lab).length).toBeGreaterThan(10);
    killed.killAll();
    await killed.ended;
    const nothingLeft = () =>
      labProcesses(lab).length === 0 && listNamespaces(lab).length === 0 && !existsSync(stateDir);
    await until(async () => (nothingLeft() ? true : undefined), {
      timeoutMs: 30_000,
      intervalMs: 100,
      what: 'the region to end by itself',
    });
    expect(mountsUnder(stateDir)).toEqual([]);
  });
});
