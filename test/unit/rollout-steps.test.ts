import { describe, expect, it } from 'vitest';
import { unhealthy } from '../../actions/core/health.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { planNode } from '../../actions/rollout/plan.ts';
import { findPrimary } from '../../actions/rollout/primary.ts';
import { buildReleases } from '../../actions/rollout/release.ts';
import { orderSteps } from '../../actions/rollout/steps.ts';
import { wouldMiss } from '../../actions/rollout/survive.ts';
import { blank, deployed, deployedBefore, primaryFacts, sources } from './rollout-fixture.ts';

const from = sources();
const { environment } = from;
const view = (host: string, others = 2) => ({
  primary: { host, port: 6379 },
  flags: ['master'],
  quorum: 2,
  otherSentinels: Array.from({ length: others }, () => ({ host: 'x', port: 26379, flags: ['sentinel'] })),
  replicas: [1, 2].map(() => ({ host: 'y', port: 6379, flags: ['slave'], linkUp: true, priority: 100 })),
  quorumOk: true,
  quorumMessage: 'OK',
});
const up = ['app-1', 'app-2'].map((server) => ({
  backend: 'app',
  server,
  status: 'UP',
  check: 'L7OK',
  sessions: 0,
  queue: 0,
}));

/** A fleet that serves, every node with its release, redis-2 primary. */
function serving(make = deployed): Map<string, NodeFacts> {
  const facts = new Map(buildReleases(from).map((release) => [release.node, make(release)]));
  const set = (node: string, more: Partial<NodeFacts>) =>
    facts.set(node, { ...(facts.get(node) ?? blank(node)), ...more });
  set('redis-2', { redis: primaryFacts('198.18.0.11', '198.18.0.13') });
  for (const node of ['redis-1', 'redis-3'])
    set(node, {
      redis: {
        role: 'replica',
        loading: false,
        offset: 100,
        readBytes: undefined,
        follows: { address: '198.18.0.12', linkUp: true },
        replicas: [],
      },
    });
  for (const node of ['sentinel-1', 'sentinel-2', 'sentinel-3']) set(node, { sentinel: view('198.18.0.12') });
  for (const node of ['app-1', 'app-2', 'monitor-1']) set(node, { health: 200 });
  set('lb-1', { haproxy: up, holdsShared: true });
  set('lb-2', { haproxy: up, holdsShared: false });
  return facts;
}

/** What a rollout that restarts everything has to do. */
function restartAll(facts: ReadonlyMap<string, NodeFacts>) {
  const { redis, sentinel, haproxy, monitor } = environment;
  const changed = {
    ...from,
    binary: Buffer.from('another'),
    environment: {
      ...environment,
      redis: { ...redis, port: 7000 },
      sentinel: { ...sentinel, port: 7001 },
      haproxy: { ...haproxy, maxConnections: 1 },
      monitor: { ...monitor, port: 7002 },
    },
  };
  return buildReleases(changed).map((release) => planNode(release, facts.get(release.node) ?? blank(release.node)));
}

describe('the order', () => {
  it('brings a new fleet up role by role, the nodes of a role together, what others need first', () => {
    const facts = new Map(environment.nodes.map((node) => [node.name, blank(node.name)]));
    const plans = buildReleases(from).map((release) => planNode(release, blank(release.node)));
    expect(orderSteps(environment, plans, facts, 'redis-1')).toEqual([
      { kind: 'nodes', nodes: ['redis-1'] },
      { kind: 'nodes', nodes: ['redis-2', 'redis-3'] },
      { kind: 'nodes', nodes: ['sentinel-1', 'sentinel-2', 'sentinel-3'] },
      { kind: 'nodes', nodes: ['app-1', 'app-2'] },
      { kind: 'nodes', nodes: ['lb-1', 'lb-2'] },
      { kind: 'nodes', nodes: ['monitor-1'] },
    ]);
  });

  it('changes a fleet that serves one node at a time, and hands over before the primary is restarted', () => {
    const facts = serving(deployedBefore);
    const steps = orderSteps(environment, restartAll(facts), facts, 'redis-2');
    expect(steps.map((step) => (step.kind === 'handover' ? `handover ${step.from}` : step.nodes.join()))).toEqual([
      'monitor-1',
      'sentinel-1',
      'sentinel-2',
      'sentinel-3',
      'redis-1',
      'redis-3',
      'handover redis-2',
      'redis-2',
      'app-1',
      'app-2',
      'lb-2',
      'lb-1',
    ]);
  });

  it('changes as many at a time as the environment says and the fleet can spare, after the canary', () => {
    const apps = ['app-3', 'app-4', 'app-5', 'app-6'].map((name, index) => ({
      name,
      roles: ['app' as const],
      address: `198.18.0.${33 + index}`,
      primary: false,
    }));
    const maxParallel = { app: 3, sentinel: 3, redis: 3, monitor: 3 };
    const rollout = { ...environment.rollout, maxParallel };
    const big = { ...environment, nodes: [...environment.nodes, ...apps], rollout };
    const facts = serving(deployedBefore);
    const app = restartAll(facts).find((plan) => plan.node === 'app-1');
    if (app === undefined) throw new Error('no plan');
    const plans = [...restartAll(facts), ...apps.map(({ name }) => ({ ...app, node: name }))];
    for (const { name } of apps) facts.set(name, { ...(facts.get('app-1') ?? blank('')), node: name });
    const together = (env: typeof environment) =>
      orderSteps(env, plans, facts, 'redis-2')
        .flatMap((step) => (step.kind === 'nodes' ? [step.nodes.join()] : []))
        .filter((names) => !names.startsWith('lb'));
    expect(together(big)).toEqual([
      'monitor-1',
      'sentinel-1',
      'sentinel-2',
      'sentinel-3',
      'redis-1',
      'redis-3',
      'redis-2',
      'app-1',
      'app-2,app-3,app-4',
      'app-5,app-6',
    ]);
    // Only two apps: one has to serve.
    expect(orderSteps({ ...environment, rollout }, restartAll(facts), facts, 'redis-2').slice(-4, -2)).toEqual([
      { kind: 'nodes', nodes: ['app-1'] },
      { kind: 'nodes', nodes: ['app-2'] },
    ]);
  });

  it('settles a node that an earlier run left broken before one that is well', () => {
    const facts = serving(deployedBefore);
    const broken = facts.get('sentinel-3') ?? blank('sentinel-3');
    facts.set('sentinel-3', { ...broken, units: {} });
    const steps = orderSteps(environment, restartAll(facts), facts, 'redis-2');
    expect(steps.flatMap((step) => (step.kind === 'nodes' ? step.nodes : [])).slice(1, 4)).toEqual([
      'sentinel-3',
      'sentinel-1',
      'sentinel-2',
    ]);
  });
});

describe('who is primary', () => {
  it('is what most Sentinels say, not what the environment says', () => {
    expect(findPrimary(environment, serving()).name).toBe('redis-2');
  });

  it('is the environment’s on a fleet without any Redis', () => {
    expect(findPrimary(environment, new Map()).name).toBe('redis-1');
  });

  it('is not guessed when Sentinels disagree, or when all of Redis is down but held data', () => {
    const facts = serving();
    facts.set('sentinel-1', { ...blank('sentinel-1'), sentinel: view('198.18.0.11') });
    facts.delete('sentinel-2');
    expect(() => findPrimary(environment, facts)).toThrow('not clear');
    const down = new Map([['redis-3', { ...blank('redis-3'), running: { 'redis-server': 'abc' } }]]);
    expect(() => findPrimary(environment, down)).toThrow('redis-3 held data');
  });

  it('is not what a minority of the deployed Sentinels says, be the others silent', () => {
    const facts = serving();
    const silence = (node: string) => facts.set(node, { ...(facts.get(node) ?? blank(node)), sentinel: undefined });
    silence('sentinel-1');
    expect(findPrimary(environment, facts).name).toBe('redis-2');
    silence('sentinel-2');
    expect(() => findPrimary(environment, facts)).toThrow('1 of 3 Sentinels answer and name 198.18.0.12');
    silence('sentinel-3');
    expect(() => findPrimary(environment, facts)).toThrow('0 of 3 Sentinels answer');
  });

  it('is the only Redis that is a primary while no Sentinel has been deployed', () => {
    const facts = serving();
    for (const node of ['sentinel-1', 'sentinel-2', 'sentinel-3']) facts.set(node, blank(node));
    expect(findPrimary(environment, facts).name).toBe('redis-2');
    facts.set('sentinel-3', { ...blank('sentinel-3'), sentinel: view('198.18.0.13') });
    expect(findPrimary(environment, facts).name).toBe('redis-3');
  });
});

describe('a healthy node', () => {
  const picture = (facts: ReadonlyMap<string, NodeFacts>) => ({
    environment,
    facts,
    deployed: new Set(environment.nodes.map((node) => node.name)),
    primary: findPrimary(environment, facts),
  });
  const troubleOf = (name: string, facts = serving()) =>
    environment.nodes.filter((node) => node.name === name).map((node) => unhealthy(picture(facts), node))[0]?.what;
  const missed = (name: string, facts = serving()) =>
    environment.nodes.filter((node) => node.name === name).map((node) => wouldMiss(picture(facts), node))[0];

  it('is every node of a fleet that is well', () => {
    for (const node of environment.nodes) expect(troubleOf(node.name), node.name).toBeUndefined();
  });

  it('tells what it lacks: unreachable, dead, starting, loading or unhealthy', () => {
    const condition = (name: string, change: Partial<NodeFacts> | undefined) => {
      const facts = serving();
      if (change === undefined) facts.delete(name);
      else facts.set(name, { ...(facts.get(name) ?? blank('')), ...change });
      const node = environment.nodes.find((each) => each.name === name) ?? environment.nodes[0];
      return node === undefined ? undefined : unhealthy(picture(facts), node);
    };
    const unit = (active: string, sub: string) => ({
      units: { sessiond: { active, sub, enabled: 'enabled', pid: 1, restarts: 0, sinceS: 1 } },
    });
    expect(condition('app-1', undefined)?.condition).toBe('unreachable');
    expect(condition('app-1', unit('failed', 'failed'))?.condition).toBe('dead');
    expect(condition('app-1', unit('activating', 'auto-restart'))?.condition).toBe('dead');
    expect(condition('app-1', unit('activating', 'start'))?.condition).toBe('starting');
    expect(condition('app-1', { health: 503 })?.condition).toBe('unhealthy');
    const redis = { ...primaryFacts(), loading: true, readBytes: 7 };
    expect(condition('redis-1', { redis, units: {} })).toMatchObject({ condition: 'loading', done: 7 });
  });

  it('is no Sentinel that knows a ghost, and no replica that the primary does not list', () => {
    const facts = serving();
    facts.set('sentinel-1', { ...(facts.get('sentinel-1') ?? blank('')), sentinel: view('198.18.0.12', 3) });
    expect(troubleOf('sentinel-1', facts)).toBe('Sentinel knows 3 others instead of exactly 2');
    facts.set('redis-2', { ...(facts.get('redis-2') ?? blank('')), redis: primaryFacts('198.18.0.11') });
    expect(troubleOf('redis-3', facts)).toContain('does not list it');
  });

  it('is no load balancer while the shared address is nowhere, or on both', () => {
    const held = (first: boolean, second: boolean) => {
      const facts = serving();
      facts.set('lb-1', { ...(facts.get('lb-1') ?? blank('')), holdsShared: first });
      facts.set('lb-2', { ...(facts.get('lb-2') ?? blank('')), holdsShared: second });
      return troubleOf('lb-2', facts);
    };
    expect(held(false, true)).toBeUndefined();
    expect(held(false, false)).toBe('nobody holds 192.0.2.40');
    expect(held(true, true)).toBe('lb-1 and lb-2 both hold 192.0.2.40');
  });

  it('is a load balancer that is missed when the other one could not take its place', () => {
    expect(missed('lb-1')).toBeUndefined();
    for (const change of [{ units: {} }, { haproxy: up.map((each) => ({ ...each, status: 'DOWN' })) }]) {
      const facts = serving();
      facts.set('lb-2', { ...(facts.get('lb-2') ?? blank('')), ...change });
      expect(missed('lb-1', facts)).toBe('no other load balancer is well');
    }
  });

  it('is no app that HAProxy does not call UP', () => {
    const facts = serving();
    facts.set('lb-1', {
      ...(facts.get('lb-1') ?? blank('')),
      haproxy: up.map((each) => ({ ...each, status: each.server === 'app-1' ? 'DRAIN' : 'UP' })),
    });
    expect(troubleOf('app-1', facts)).toBe('HAProxy on lb-1 says DRAIN');
    expect(missed('app-2', facts)).toBe('HAProxy on lb-1 has no other server up');
  });

  it('is no replica that lacks what the primary had written by the look before, and none is missed for its sake', () => {
    const at = (wroteBefore: number) => ({ ...picture(serving()), wroteBefore });
    const offset = serving().get('redis-3')?.redis?.offset ?? Number.NaN;
    const [redis1, , redis3] = environment.nodes;
    if (redis1 === undefined || redis3 === undefined) throw new Error('no redis nodes');
    expect(unhealthy(at(offset), redis3)).toBeUndefined();
    expect(wouldMiss(at(offset), redis1)).toBeUndefined();
    expect(unhealthy(at(offset + 1), redis3)?.what).toContain('lacks what the primary had written');
    expect(wouldMiss(at(offset + 1), redis1)).toBe('0 other replicas are linked and caught up; writes need 1');
  });

  it('is missed when the rest could not do without it', () => {
    expect(missed('redis-2')).toBe('it is the Redis primary');
    expect(missed('redis-1')).toBeUndefined();
    const facts = serving();
    facts.set('redis-2', { ...(facts.get('redis-2') ?? blank('')), redis: primaryFacts('198.18.0.11') });
    expect(missed('redis-1', facts)).toBe('0 other replicas are linked and caught up; writes need 1');
    const apps = environment.nodes.filter((node) => node.roles.includes('app'));
    const both = apps.map((node) => wouldMiss(picture(serving()), node, apps));
    expect(both).toEqual(apps.map(() => 'HAProxy on lb-1 has no other server up'));
    const out = view('198.18.0.12').replicas.map((each) => ({ ...each, priority: 0 }));
    facts.set('redis-2', serving().get('redis-2') ?? blank(''));
    facts.set('sentinel-1', { ...blank('sentinel-1'), sentinel: { ...view('198.18.0.12'), replicas: out } });
    expect(missed('redis-1', facts)).toBe('2 of 3 Sentinels know another replica that they could promote');
    facts.delete('sentinel-1');
    expect(missed('sentinel-2', facts)).toBe('1 other Sentinels are well; a failover needs 2');
  });
});
