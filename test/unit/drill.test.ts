import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { scenarioNames } from '../../actions/core/environment/schema.ts';
import type { SentinelView } from '../../actions/core/sentinel.ts';
import { carriedOutMs } from '../../actions/drill/inject.ts';
import { inputNames, outputNames, readInputs } from '../../actions/drill/inputs.ts';
import { scenarios } from '../../actions/drill/scenarios/index.ts';
import { agreedPrimary, findUnsteady } from '../../actions/drill/steady/checks.ts';
import type { FleetFacts } from '../../actions/drill/steady/facts.ts';
import { type Observation, phasesOf, rolePrimary } from '../../actions/drill/timeline.ts';

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
    expect(read('')).toBeUndefined();
    expect(read('all')).toEqual(scenarioNames);
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

describe('every scenario', () => {
  test.each(scenarioNames)('%s is undone on its own node by a script that exists', (name) => {
    const scenario = scenarios[name];
    const nodes = { redis: ['r1', 'r2'], sentinel: ['s1', 's2'], app: ['a1', 'a2'], lb: ['l1'], monitor: ['m1'] };
    expect(scenario.name).toBe(name);
    expect(['r2', 's2', 'a1']).toContain(scenario.target({ primary: 'r2', nodes }));
    const unit = scenario.inject.args[1];
    expect(scenario.undo).toEqual({ script: 'unit.sh', args: ['heal', unit] });
    expect(readFileSync(`${folder}node/${scenario.inject.script}`, 'utf8')).toContain(
      `\n  ${scenario.inject.args[0]})\n`,
    );
  });
});

test.each(['guard.sh', 'unit.sh'])('%s is a POSIX shell script that takes plain words only', (script) => {
  execFileSync('sh', ['-n', `${folder}node/${script}`]);
  const odd = script === 'guard.sh' ? ['arm', '100', 'unit.sh', 'heal', 'a;b'] : ['heal', 'a;b'];
  expect(() => execFileSync('sh', [`${folder}node/${script}`, ...odd], { stdio: 'pipe' })).toThrow(/a;b/);
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
    replicas: ['198.18.0.12', '198.18.0.13'].map((host) => ({ host, port: 6379, flags: ['slave'], linkUp: true })),
    ...rest,
  };
}

function steadyFacts(): FleetFacts {
  const value = <T>(of: T) => ({ value: of });
  const following = {
    role: 'slave',
    offset: 990,
    connectedReplicas: 0,
    primary: { host: primary, port: 6379, linkUp: true },
  } as const;
  const up = (server: string) => ({ backend: 'app', server, status: 'UP', check: 'L7OK', sessions: 0, queue: 0 });
  return {
    units: Object.fromEntries(environment.nodes.map((node) => [node.name, value({ 'a-unit': 'active' })])),
    sentinels: {
      'sentinel-1': value(sentinelView('198.18.0.21')),
      'sentinel-2': value(sentinelView('198.18.0.22')),
      'sentinel-3': value(sentinelView('198.18.0.23')),
    },
    redis: {
      'redis-1': value({ role: 'master', offset: 1000, connectedReplicas: 2, primary: undefined }),
      'redis-2': value(following),
      'redis-3': value(following),
    },
    haproxy: { 'lb-1': value([up('app-1'), up('app-2')]) },
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
      'sentinel-1: flags the primary s_down',
    ],
    [
      'the quorum is out of reach',
      { sentinels: view({ quorumOk: false, quorumMessage: 'NOQUORUM' }) },
      'sentinel-1: NOQUORUM',
    ],
    [
      'a ghost counts',
      { sentinels: view({ otherSentinels: [...sentinelView('198.18.0.21').otherSentinels, ghost] }) },
      'sentinel-1: knows 3 other Sentinels, not 2',
    ],
    [
      'a link is down',
      { redis: replica({ primary: { host: primary, port: 6379, linkUp: false } }) },
      'redis-2: master_link_status is down',
    ],
    ['a replica lags', { redis: replica({ offset: -1_000_000 }) }, 'redis-2: 1001000 bytes behind the primary'],
    [
      'there are two primaries',
      { redis: replica({ role: 'master', primary: undefined }) },
      'redis-2: a second primary',
    ],
    [
      'a replica follows another',
      { redis: replica({ primary: { host: '198.18.0.13', port: 6379, linkUp: true } }) },
      'redis-2: follows 198.18.0.13, not the primary 198.18.0.11',
    ],
    [
      'an app is down',
      { haproxy: { 'lb-1': { value: [{ ...app, status: 'DOWN', check: 'L4CON' }] } } },
      'lb-1: HAProxy sees app-1 DOWN (L4CON)',
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
    seen(3000, 'sentinel-1', '+promoted-slave', 'slave', '10.0.0.2'),
    seen(3100, 'sentinel-3', '+switch-master', 'master', '10.0.0.2'),
  ];

  test('count from the fault, each as first seen by anybody', () => {
    expect(phasesOf(observations, 1000, '10.0.0.1')).toEqual({
      detectedMs: 1001,
      agreedMs: 1060,
      electedMs: 1110,
      promotedMs: 1300,
      announcedMs: 2100,
      newPrimary: '10.0.0.2',
    });
  });

  test('are empty when no failover happened', () => {
    const phases = phasesOf(observations.slice(3, 4), 1000, '10.0.0.1');
    expect(Object.values(phases)).toEqual([null, null, null, null, null, null]);
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
