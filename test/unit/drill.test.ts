import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { type Role, type ScenarioName, scenarioNames } from '../../actions/core/environment/schema.ts';
import type { SentinelView } from '../../actions/core/sentinel.ts';
import { firing, ruleNames, withNow } from '../../actions/drill/alerts.ts';
import { chooseScenarios, whyNot } from '../../actions/drill/choose.ts';
import { nowMs } from '../../actions/drill/clock.ts';
import type { FleetNode } from '../../actions/drill/fleet.ts';
import { chosen } from '../../actions/drill/follow-up.ts';
import { carriedOutMs, injectAll, longest, undoPlan } from '../../actions/drill/inject.ts';
import { inputNames, outputNames, readInputs } from '../../actions/drill/inputs.ts';
import { installScripts } from '../../actions/drill/node-script.ts';
import { type LiveState, type Step, scenarios } from '../../actions/drill/scenarios/index.ts';
import { agreedPrimary, findUnsteady } from '../../actions/drill/steady/checks.ts';
import type { FleetFacts } from '../../actions/drill/steady/facts.ts';
import { type Observation, phasesOf, roleLinked, rolePrimary } from '../../actions/drill/timeline.ts';

const folder = new URL('../../actions/drill/', import.meta.url).pathname;
const environment = loadEnvironment(new URL('../../environments/lab.yaml', import.meta.url).pathname);

describe('the action', () => {
  test('reads the inputs and writes the outputs that action.yml names', () => {
    const action = parse(readFileSync(`${folder}action.yml`, 'utf8'));
    expect(Object.keys(action.inputs)).toEqual([...inputNames]);
    expect(Object.keys(action.outputs)).toEqual([...outputNames]);
  });

  const fleetSecret = 's'.repeat(32);
  const given = (values: Record<string, string>) => (name: string) =>
    ({ environment: 'lab', 'linode-token': 't', secret: fleetSecret, ...values })[name] ?? '';

  test('takes scenarios by name, all, or those of the environment', () => {
    const read = (text: string) => readInputs(given({ scenarios: text })).scenarios;
    expect([read(''), read('all'), read('nightly')]).toEqual(['core', 'all', 'nightly']);
    expect(read('app-kill, sentinel-kill app-kill')).toEqual(['app-kill', 'sentinel-kill']);
    expect(() => read('apkill')).toThrow(/no scenario apkill.*app-kill/);
  });

  test('posts nothing without a token, and keeps the others to itself', () => {
    const inputs = readInputs(given({}));
    expect(inputs.githubToken).toBeUndefined();
    expect(inputs.out).toBe('out');
    expect(JSON.stringify(inputs)).not.toContain(fleetSecret);
    expect(() => readInputs(given({ secret: '' }))).toThrow('FIREDRILL_SECRET');
  });
});

const names = {
  redis: ['r1', 'r2', 'r3'],
  sentinel: ['s1', 's2', 's3'],
  app: ['a1', 'a2'],
  lb: ['l1', 'l2'],
  monitor: ['m1'],
};
const state: LiveState = {
  primary: 'r2',
  balancer: 'l2',
  nodes: names,
  addresses: Object.fromEntries(
    Object.values(names)
      .flat()
      .map((name, index) => [name, `10.0.0.${index + 1}`]),
  ),
};

describe.each(scenarioNames)('the scenario %s', (name) => {
  const scenario = scenarios[name];
  const steps = scenario.steps(state);

  test('breaks nodes that exist by scripts that exist, with plain words', () => {
    expect(scenario.name).toBe(name);
    expect(steps.some((step) => step.when === undefined)).toBe(scenario.deploys === undefined);
    for (const step of steps) {
      expect(step.nodes.length).toBeGreaterThan(0);
      for (const node of step.nodes) expect(Object.keys(state.addresses)).toContain(node);
      for (const { script, args } of [step.inject, step.undo, ...(step.prepare ? [step.prepare] : [])]) {
        expect(readFileSync(`${folder}node/${script}`, 'utf8')).toMatch(
          new RegExp(`^  ([a-z| -]+ )?${args[0]}[ )|]`, 'm'),
        );
        for (const word of args) expect(word).toMatch(/^[A-Za-z0-9@._-]+$/);
      }
    }
  });

  test('is undone by the same script on the same node', () => {
    for (const { inject, undo } of steps) {
      expect(undo.script).toBe(inject.script);
      expect(undo.args[0]).toBe('heal');
      if (inject.script === 'unit.sh') expect(undo.args[1]).toBe(inject.args[1]);
    }
  });
});

describe('the undo plan', () => {
  const fleet = {
    environment,
    nodes: environment.nodes.map((node) => ({ ...node, ssh: {} as FleetNode['ssh'] })),
  };
  const live: LiveState = {
    primary: 'redis-1',
    balancer: 'lb-2',
    nodes: Object.fromEntries(
      ['redis', 'sentinel', 'app', 'lb', 'monitor'].map((role) => [
        role,
        environment.nodes.filter((node) => node.roles.includes(role as Role)).map((node) => node.name),
      ]),
    ) as unknown as LiveState['nodes'],
    addresses: Object.fromEntries(environment.nodes.map((node) => [node.name, node.address])),
  };
  const seen = (at: number, node: string, name: string, host: string): Observation => ({
    at,
    node,
    event: { name, kind: 'master', host, port: 6379, text: '' },
  });

  test('has each node once, also those that only a failover may choose', () => {
    const plan = undoPlan(fleet, scenarios['leader-crash'].steps(live));
    expect(plan.map(({ node }) => node.name)).toEqual(['redis-1', 'sentinel-1', 'sentinel-2', 'sentinel-3']);
    expect(undoPlan(fleet, scenarios['fleet-cold-start'].steps(live)).every((each) => each.powersOff)).toBe(true);
    expect(undoPlan(fleet, scenarios['redis-primary-reboot'].steps(live))).toMatchObject([
      { powersOff: false, reboots: true },
    ]);
  });

  test('has all undos of a node on which several roles are broken', () => {
    const both = scenarios['sentinel-and-primary-kill'].steps({
      ...live,
      nodes: { ...live.nodes, sentinel: ['redis-1'] },
    });
    expect(undoPlan(fleet, both).map(({ undo }) => undo.map(({ args }) => args[1]))).toEqual([
      ['redis-sentinel', 'redis-server'],
    ]);
  });

  test('a step within the failover hits the Sentinel that was elected, or the Redis that was promoted', () => {
    const events = [
      seen(900, 'sentinel-3', '+elected-leader', '198.18.0.11'),
      seen(2000, 'sentinel-2', '+elected-leader', '198.18.0.11'),
      seen(2500, 'sentinel-2', '+switch-master', '198.18.0.13'),
    ];
    const [, leader] = scenarios['leader-crash'].steps(live);
    const [, second] = scenarios['double-failover'].steps(live);
    expect(chosen(fleet, leader as Step, events.slice(0, 1), 1000)).toBeUndefined();
    expect(chosen(fleet, leader as Step, events, 1000)?.name).toBe('sentinel-2');
    expect(chosen(fleet, second as Step, events.slice(0, 2), 1000)).toBeUndefined();
    expect(chosen(fleet, second as Step, events, 1000)?.name).toBe('redis-3');
  });
});

test('an alert of one node is another than that of the next, and what is pending does not fire', () => {
  const alert = (node: string, state: string) => ({
    state,
    labels: { alertname: 'FailoverHappened', severity: 'info', node },
  });
  const alerts = [alert('redis-1', 'firing'), alert('redis-2', 'firing'), alert('redis-3', 'pending')];
  const found = firing({ data: { alerts } });
  expect(found.map(({ name, severity }) => [name, severity])).toEqual(Array(2).fill(['FailoverHappened', 'info']));
  expect(new Set(found.map(({ id }) => id)).size).toBe(2);
  // It ended, and began again between two runs.
  const since = (activeAt: string) =>
    firing({ data: { alerts: [{ ...alert('redis-1', 'firing'), activeAt }] } })[0]?.id;
  expect(since('2026-03-01T03:17:00Z')).not.toBe(since('2026-03-01T03:18:00Z'));
  expect(firing(undefined)).toEqual([]);
  expect(ruleNames({ data: { groups: [{ rules: [{ name: 'NoQuorum' }] }] } })).toEqual(new Set(['NoQuorum']));
});

test('says of an alert when it fired, and when it was over, for the last time', () => {
  const down = { id: 'down', name: 'SentinelDown', severity: 'critical' };
  const lag = { id: 'lag', name: 'ReplicationLag', severity: 'warning' };
  const first = withNow([], [down], 1000);
  expect(first).toEqual([{ ...down, at: 1000, overAt: null }]);
  const both = withNow(first, [lag, down], 1500);
  expect(both.map(({ id, at }) => [id, at])).toEqual([
    ['down', 1000],
    ['lag', 1500],
  ]);
  const over = withNow(withNow(both, [lag], 2000), [lag], 2500);
  expect(over.map(({ overAt }) => overAt)).toEqual([2000, null]);
  expect(withNow(over, [down], 3000).map(({ at, overAt }) => [at, overAt])).toEqual([
    [1000, null],
    [1500, 3000],
  ]);
});

test.each(['lab', 'production'])('in %s the alert of every scenario can fire before the fault is undone', (name) => {
  const { drill, monitor } = loadEnvironment(new URL(`../../environments/${name}.yaml`, import.meta.url).pathname);
  const rules = globSync('configs/prometheus/rules/*.yml').map((file) => readFileSync(file, 'utf8'));
  const heldFor = (alert: string): number => {
    const text =
      rules.flatMap((each) => each.split(/^ *- alert: /m)).find((each) => each.startsWith(`${alert}\n`)) ?? '';
    const key = /^ *for: \{\{ monitor\.rules\.(\w+) \}\}ms$/m.exec(text)?.[1] as keyof typeof monitor.rules | undefined;
    return key === undefined ? 0 : (monitor.rules[key] as number);
  };
  // As observe has it: healing is to come before the node's own timer.
  const limitMs = Math.max(drill.observeMs, drill.healAfterMs - drill.warmupMs - 10_000);
  const late = [...drill.scenarios, ...drill.rotation, ...drill.byHand].flatMap((scenario) => {
    const { alert } = scenarios[scenario];
    if (alert === null || alert === 'any') return [];
    const lagMs = alert === 'ReplicationLag' ? monitor.rules.replicaLagMs : 0;
    const firesMs = lagMs + heldFor(alert) + monitor.scrapeIntervalMs + monitor.evaluationIntervalMs;
    // What has to hold for a while holds no longer than a fault that ends by itself.
    const endsMs = longest(scenarios[scenario].steps(state));
    const untilMs = heldFor(alert) > 0 && endsMs > 0 ? endsMs : limitMs;
    return firesMs <= untilMs ? [] : [`${scenario}: ${alert} fires after ${firesMs} of ${untilMs} ms`];
  });
  expect(heldFor('ReplicationLag')).toBe(monitor.rules.replicaLagForMs);
  expect(late).toEqual([]);
});

test("every scenario's alert is a rule of this repository", () => {
  const folder = new URL('../../configs/prometheus/rules/', import.meta.url);
  const text = readdirSync(folder)
    .map((file) => readFileSync(new URL(file, folder), 'utf8'))
    .join('\n');
  const alerts = Object.values(scenarios).flatMap(({ alert }) => (alert === null || alert === 'any' ? [] : [alert]));
  for (const alert of alerts) expect(text).toContain(`- alert: ${alert}\n`);
});

describe('the choice of scenarios', () => {
  const drill = {
    ...environment.drill,
    scenarios: ['redis-primary-kill', 'app-kill'] as ScenarioName[],
    rotation: scenarioNames.filter((name) => !['fleet-cold-start', 'disk-full'].includes(name)),
  };
  const day = 24 * 3600 * 1000;
  const from = Date.UTC(2026, 2, 1);

  test('is nightly the core ones and a part of the others, so that a week has all of them', () => {
    const week = Array.from({ length: 7 }, (_, index) => chooseScenarios('nightly', drill, from + index * day));
    for (const night of week) {
      expect(night).toEqual(expect.arrayContaining(drill.scenarios));
      expect(night.length).toBeLessThanOrEqual(2 + Math.ceil((drill.rotation.length - 2) / 7));
    }
    expect(new Set(week.flat())).toEqual(new Set([...drill.scenarios, ...drill.rotation]));
  });

  const drillOf = (environment: string) =>
    loadEnvironment(new URL(`../../environments/${environment}.yaml`, import.meta.url).pathname).drill;
  const weekOf = (settings: typeof drill) =>
    Array.from({ length: 7 }, (_, index) => chooseScenarios('nightly', settings, from + index * day));

  test('covers in the lab within a week all that there is, but for what its file keeps for who asks by name', () => {
    const lab = drillOf('lab');
    expect(lab.byHand).toEqual(['lb-blinking', 'lb-frozen']);
    expect(new Set([...weekOf(lab).flat(), ...lab.byHand])).toEqual(new Set(scenarioNames));
  });

  test('covers in production within a week what its file says, which is its to choose; the rest only somebody who asks for it gets', () => {
    const production = drillOf('production');
    const week = weekOf(production);
    expect(new Set(week.flat())).toEqual(new Set([...production.scenarios, ...production.rotation]));
    for (const night of week) expect(night).toEqual(expect.arrayContaining(production.scenarios));
    for (const name of production.byHand) {
      expect(chooseScenarios('all', production, from)).not.toContain(name);
      expect(chooseScenarios([name], production, from)).toEqual([name]);
    }
  });

  test('takes what is asked for, unless the environment does not allow it', () => {
    expect(chooseScenarios('core', drill, from)).toEqual(drill.scenarios);
    expect(chooseScenarios('all', drill, from)).not.toContain('fleet-cold-start');
    expect(chooseScenarios(['app-hang', 'redis-primary-stop'], drill, from)).toEqual([
      'redis-primary-stop',
      'app-hang',
    ]);
    expect(() => chooseScenarios(['fleet-cold-start'], drill, from)).toThrow(
      /not allowed.*fleet-cold-start.*drill.rotation/s,
    );
  });

  test('is empty when somebody said off, and for a scheduled drill outside of its window', () => {
    const at = (time: string) => Date.parse(`2026-03-01T${time}:00Z`);
    const asked = { killSwitch: false, scheduled: true, now: at('03:17') };
    expect(whyNot(drill, asked)).toBeUndefined();
    expect(whyNot(drill, { ...asked, killSwitch: true })).toContain('FIREDRILL_DRILL');
    expect(whyNot({ ...drill, enabled: false }, asked)).toContain('drill.enabled');
    const night = { ...drill, window: { from: '23:00', to: '05:00' } };
    expect(whyNot(night, asked)).toBeUndefined();
    expect(whyNot(night, { ...asked, now: at('23:30') })).toBeUndefined();
    expect(whyNot(night, { ...asked, now: at('05:00') })).toContain('it is 05:00 UTC');
    expect(whyNot(night, { ...asked, now: at('12:00'), scheduled: false })).toBeUndefined();
  });
});

test.each(['disk.sh', 'freeze.sh', 'guard.sh', 'net.sh', 'unit.sh'])(
  '%s is a POSIX shell script that takes plain words only',
  (script) => {
    execFileSync('sh', ['-n', `${folder}node/${script}`]);
    const odd = {
      'guard.sh': ['arm', '100', 'unit.sh', 'heal', 'a;b'],
      'disk.sh': ['a;b'],
      'freeze.sh': ['freeze', 'a;b'],
    }[script] ?? ['heal', 'a;b'];
    expect(() => execFileSync('sh', [`${folder}node/${script}`, ...odd], { stdio: 'pipe' })).toThrow(/a;b/);
  },
);

describe("the node's promise", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'firedrill-guard-'));
    for (const name of ['one.sh', 'two.sh'])
      writeFileSync(join(home, name), `#!/bin/sh\necho "$0 $*" >> ${home}/done\n[ "$1" != fail ]\n`, { mode: 0o755 });
    writeFileSync(join(home, 'systemctl'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(home, 'firedrill-heal.service'), '');
  });
  afterEach(() => rmSync(home, { recursive: true }));

  const guard = (...args: string[]) =>
    spawnSync('sh', ['-s', ...args], {
      input: readFileSync(`${folder}node/guard.sh`, 'utf8')
        .replace('here=/var/lib/firedrill/drill', `here=${home}`)
        .replace('units=/etc/systemd/system', `units=${home}`),
      env: { ...process.env, PATH: `${home}:${process.env.PATH}` },
      encoding: 'utf8',
    });
  const done = () => readFileSync(join(home, 'done'), 'utf8').replaceAll(`${home}/`, '').trim().split('\n');

  test('has several undos, and is taken back when all are done', () => {
    expect(guard('fire', 'one.sh', 'heal', 'a', 'then', 'two.sh', 'heal').status).toBe(0);
    expect(done()).toEqual(['one.sh heal a', 'two.sh heal']);
    expect(existsSync(join(home, 'firedrill-heal.service'))).toBe(false);
  });

  test('stands when one of them fails, and the others are done all the same', () => {
    expect(guard('fire', 'one.sh', 'fail', 'then', 'two.sh', 'heal').status).toBe(1);
    expect(done()).toEqual(['one.sh fail', 'two.sh heal']);
    expect(existsSync(join(home, 'firedrill-heal.service'))).toBe(true);
  });

  test('is refused while an earlier one stands, and is a service that starts at boot', () => {
    expect(guard('arm', '1000', 'one.sh', 'heal').status).toBe(3);
    rmSync(join(home, 'firedrill-heal.service'));
    expect(guard('arm', '1000', 'one.sh', 'heal', 'then', 'two.sh', 'heal').status).toBe(0);
    const unit = readFileSync(join(home, 'firedrill-heal.service'), 'utf8');
    expect(unit).toContain('guard.sh fire one.sh heal then two.sh heal\n');
    expect(unit).toContain('WantedBy=multi-user.target');
    expect(readFileSync(join(home, 'firedrill-heal.timer'), 'utf8')).toContain('OnActiveSec=1000ms');
  });
});

test('scripts that cannot be written leave those that are there, and are not written again without need', async () => {
  const home = mkdtempSync(join(tmpdir(), 'firedrill-scripts-'));
  const at = (name: string) => join(home, 'drill', name);
  const node = (path: string) =>
    ({
      name: 'redis-1',
      ssh: {
        exec: async (command: string, { stdin }: { stdin: Buffer }) => {
          const local = command.replace('sudo -n ', '').replaceAll('/var/lib/firedrill/drill', join(home, 'drill'));
          const env = { ...process.env, PATH: path };
          const { status, stderr } = spawnSync('sh', ['-c', local], { input: stdin, env, encoding: 'utf8' });
          return { code: status, stdout: '', stderr };
        },
      },
    }) as unknown as FleetNode;
  const usual = process.env.PATH ?? '';
  await installScripts(node(usual), 1000);
  const guard = readFileSync(at('guard.sh'), 'utf8');
  expect(guard).toBe(readFileSync(`${folder}node/guard.sh`, 'utf8'));
  writeFileSync(join(home, 'cat'), '#!/bin/sh\necho "cat: write error: No space left on device" >&2\nexit 1\n', {
    mode: 0o755,
  });
  await installScripts(node(`${home}:${usual}`), 1000);
  writeFileSync(at('guard.sh'), 'of an earlier release');
  await expect(installScripts(node(`${home}:${usual}`), 1000)).rejects.toThrow(/guard.sh.*No space left/);
  expect(readFileSync(at('guard.sh'), 'utf8')).toBe('of an earlier release');
  rmSync(home, { recursive: true });
});

test('a scenario that breaks nothing by itself has its time all the same', async () => {
  const before = nowMs();
  const { toldAt, faultAt, uncertaintyMs } = await injectAll([]);
  expect([toldAt, uncertaintyMs]).toEqual([faultAt, 0]);
  expect(faultAt - before).toBeLessThan(1000);
});

test('a fault took as long as the node says', () => {
  expect(carriedOutMs('now 1795397394875020184\ndone 1795397394876455644\n')).toBeCloseTo(1.435, 3);
  expect(carriedOutMs('nothing')).toBe(0);
});

const primary = '198.18.0.11';

function sentinelView(self: string, rest: Partial<SentinelView> = {}): SentinelView {
  const others = ['198.18.0.21', '198.18.0.22', '198.18.0.23'].filter((host) => host !== self);
  return {
    primary: { host: primary, port: 6379 },
    flags: ['master'],
    quorum: 2,
    quorumOk: true,
    quorumMessage: 'OK',
    otherSentinels: others.map((host) => ({ host, port: 26379, flags: ['sentinel'] })),
    replicas: ['198.18.0.12', '198.18.0.13'].map((host) => ({
      host,
      port: 6379,
      flags: ['slave'],
      linkUp: true,
      priority: 100,
    })),
    ...rest,
  };
}

function steadyFacts(): FleetFacts {
  const value = <T>(of: T) => ({ value: of });
  const redis = { loading: false, readBytes: undefined, replicas: [] };
  const following = { ...redis, role: 'replica', offset: 990, follows: { address: primary, linkUp: true } } as const;
  const linked = (address: string) => ({ address, online: true, offset: 990, lagS: 0 });
  const up = (server: string) => ({ backend: 'app', server, status: 'UP', check: 'L7OK', sessions: 0, queue: 0 });
  return {
    units: Object.fromEntries(environment.nodes.map((node) => [node.name, value({ 'a-unit': 'active' })])),
    monitors: { 'monitor-1': value('ready') },
    tilted: { 'sentinel-1': value(false), 'sentinel-2': value(false), 'sentinel-3': value(false) },
    sentinels: {
      'sentinel-1': value(sentinelView('198.18.0.21')),
      'sentinel-2': value(sentinelView('198.18.0.22')),
      'sentinel-3': value(sentinelView('198.18.0.23')),
    },
    redis: {
      'redis-1': value({
        ...redis,
        role: 'primary',
        offset: 1000,
        follows: undefined,
        replicas: [linked('198.18.0.12'), linked('198.18.0.13')],
      }),
      'redis-2': value(following),
      'redis-3': value(following),
    },
    haproxy: { 'lb-1': value([up('app-1'), up('app-2')]), 'lb-2': value([up('app-1'), up('app-2')]) },
    shared: { 'lb-1': value(false), 'lb-2': value(true) },
    ready: value(200),
  };
}

const unsteady = (facts: FleetFacts) => findUnsteady(environment, facts).map((each) => `${each.node}: ${each.what}`);

describe('the steady state', () => {
  test('is when every check is good', () => {
    expect(unsteady(steadyFacts())).toEqual([]);
    expect(agreedPrimary(steadyFacts())).toBe(primary);
  });

  const facts = steadyFacts();
  const view = (rest: Partial<SentinelView>) => ({
    ...facts.sentinels,
    'sentinel-1': { value: sentinelView('198.18.0.21', rest) },
  });
  const replica = (rest: object) => ({
    ...facts.redis,
    'redis-2': { value: { ...(facts.redis['redis-2'] as { value: object }).value, ...rest } },
  });
  const other = { primary: { host: '198.18.0.12', port: 6379 } };
  const ghost = { host: '198.18.0.99', port: 26379, flags: ['sentinel', 's_down'] };
  const app = { backend: 'app', server: 'app-1', sessions: 0, queue: 0 };

  test.each([
    ['a unit is down', { units: { 'app-1': { value: { sessiond: 'failed' } } } }, 'app-1: sessiond is failed'],
    [
      'a Sentinel is silent',
      { sentinels: { ...facts.sentinels, 'sentinel-1': { error: 'no answer' } } },
      'sentinel-1: no answer',
    ],
    [
      'two Sentinels disagree',
      { sentinels: view(other) },
      'sentinels: they name different primaries: 198.18.0.12, 198.18.0.11',
    ],
    [
      'a Sentinel suspects',
      { sentinels: view({ flags: ['master', 's_down'] }) },
      'sentinel-1: Sentinel says of the primary: master,s_down',
    ],
    [
      'the quorum is out of reach',
      { sentinels: view({ quorumOk: false, quorumMessage: 'NOQUORUM' }) },
      'sentinel-1: NOQUORUM',
    ],
    [
      'a ghost counts',
      { sentinels: view({ otherSentinels: [...sentinelView('198.18.0.21').otherSentinels, ghost] }) },
      'sentinel-1: Sentinel knows 3 others instead of exactly 2',
    ],
    [
      'a link is down',
      { redis: replica({ follows: { address: primary, linkUp: false } }) },
      'redis-2: the link to the primary is down',
    ],
    [
      'nobody would be told of anything',
      { monitors: { 'monitor-1': { error: 'Alertmanager answers nothing: refused' } } },
      'monitor-1: Alertmanager answers nothing: refused',
    ],
    ['a replica lags', { redis: replica({ offset: -5_000_000 }) }, 'redis-2: it is 5001000 bytes behind'],
    [
      'there are two primaries',
      { redis: replica({ role: 'primary', follows: undefined }) },
      'redis-2: Redis is a primary beside redis-1',
    ],
    [
      'a replica follows another',
      { redis: replica({ follows: { address: '198.18.0.13', linkUp: true } }) },
      'redis-2: Redis follows 198.18.0.13, not redis-1',
    ],
    [
      'an app is down',
      { haproxy: { 'lb-1': { value: [{ ...app, status: 'DOWN', check: 'L4CON' }] } } },
      'lb-1: HAProxy says that app-1 is DOWN (L4CON)',
    ],
    [
      'both load balancers hold the shared address',
      { shared: { 'lb-1': { value: true }, 'lb-2': { value: true } } },
      'lb-1: lb-1 and lb-2 both hold 192.0.2.40',
    ],
    [
      "a Sentinel's clock jumped",
      { tilted: { 'sentinel-3': { value: true } } },
      'sentinel-3: its Sentinel is in TILT and does nothing',
    ],
    ['clients are refused', { ready: { value: 503 } }, 'load balancer: /readyz answers 503'],
  ])('is not when %s, and the check and the node are named', (_, change, expected) => {
    expect(unsteady({ ...facts, ...change } as FleetFacts)).toContain(expected);
  });
});

describe('the phases', () => {
  const seen = (at: number, node: string, name: string, kind: string, host: string): Observation => ({
    at,
    node,
    event: { name, kind, host, port: 6379, text: '' },
  });
  const observations = [
    seen(900, 'sentinel-1', '+sdown', 'master', '10.0.0.1'),
    seen(2010, 'sentinel-2', '+sdown', 'master', '10.0.0.1'),
    seen(2001, 'sentinel-1', '+sdown', 'master', '10.0.0.1'),
    seen(1500, 'sentinel-1', '+sdown', 'slave', '10.0.0.3'),
    seen(2060, 'sentinel-1', '+odown', 'master', '10.0.0.1'),
    seen(2110, 'sentinel-1', '+elected-leader', 'master', '10.0.0.1'),
    seen(2300, 'redis-2', rolePrimary, 'master', '10.0.0.2'),
    seen(2400, 'redis-3', roleLinked, 'slave', '10.0.0.2'),
    seen(3000, 'sentinel-1', '+promoted-slave', 'slave', '10.0.0.2'),
    seen(3100, 'sentinel-3', '+switch-master', 'master', '10.0.0.2'),
  ];

  test('count from the fault, each as first seen by anybody', () => {
    expect(phasesOf(observations, 1000, '10.0.0.1', ['redis-2', 'redis-3'])).toEqual({
      detectedMs: 1001,
      agreedMs: 1060,
      electedMs: 1110,
      promotedMs: 1300,
      announcedMs: 2100,
      resyncedMs: 1400,
      newPrimary: '10.0.0.2',
      failovers: 1,
    });
  });

  test('are empty when no failover happened', () => {
    const phases = phasesOf(observations.slice(3, 4), 1000, '10.0.0.1');
    expect(Object.values(phases)).toEqual([null, null, null, null, null, null, null, 0]);
  });
});

describe("the drill's lease", () => {
  const script = readFileSync(`${folder}node/lease.sh`, 'utf8');
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'firedrill-lease-'));
  });
  afterEach(() => rmSync(home, { recursive: true }));

  const lease = (...args: string[]) =>
    spawnSync('sh', ['-s', ...args], {
      input: script.replace('/var/lib/firedrill\n', `${home}\n`),
      encoding: 'utf8',
    });
  const held = () => readFileSync(`${home}/lease`, 'utf8').trim().split(' ');

  test('is refused while a deploy works on the node, and taken when its lease has ended', () => {
    writeFileSync(`${home}/lease`, `deploy-1 7 1 ${Date.now() + 60_000} somebody\n`);
    const refused = lease('take', 'drill-1', '30000');
    expect(refused.status).toBe(4);
    expect(refused.stderr).toContain('run deploy-1 (somebody)');
    writeFileSync(`${home}/lease`, `deploy-1 7 1 ${Date.now() - 1} somebody\n`);
    expect(lease('take', 'drill-1', '30000').status).toBe(0);
    expect(held()[0]).toBe('drill-1');
  });

  test('is refused to a second drill, renewed by the first, and given back', () => {
    expect(lease('take', 'drill-1', '30000').status).toBe(0);
    expect(lease('take', 'drill-2', '30000').status).toBe(4);
    expect(lease('take', 'drill-1', '60000').status).toBe(0);
    expect(Number(held()[3])).toBeGreaterThan(Date.now() + 50_000);
    lease('drop', 'drill-2');
    expect(held()[3]).not.toBe('0');
    lease('drop', 'drill-1');
    expect(held()[3]).toBe('0');
    expect(lease('take', 'drill-2', '30000').status).toBe(0);
  });

  test("waits for the deploys' lock, and is refused when a deploy holds on to it", async () => {
    const holder = spawn('flock', [`${home}/lock`, 'sh', '-c', 'echo held; exec sleep 60']);
    try {
      await once(holder.stdout, 'data');
      const refused = lease('take', 'drill-1', '30000');
      expect([refused.status, refused.stderr]).toEqual([4, 'a deploy works on this node right now\n']);
      expect(existsSync(`${home}/lease`)).toBe(false);
    } finally {
      holder.kill('SIGKILL');
    }
    await once(holder, 'exit');
  });

  test("keeps the deploys' generation", () => {
    writeFileSync(`${home}/lease`, 'deploy-1 7 1 0 somebody\n');
    lease('take', 'drill-1', '30000');
    lease('drop', 'drill-1');
    expect(held()[1]).toBe('7');
  });
});
