import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { describePlans } from '../../actions/rollout/describe.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { planRollback } from '../../actions/rollout/kept.ts';
import { manifestText } from '../../actions/rollout/manifest.ts';
import { interrupts, planNode, upstreamVersion } from '../../actions/rollout/plan.ts';
import { refuseBad } from '../../actions/rollout/planning.ts';
import { redactor } from '../../actions/rollout/redact.ts';
import { bundle, type ReleaseSources } from '../../actions/rollout/release.ts';
import { blank, deployed, deployedBefore, releaseOf, secrets, sources } from './rollout-fixture.ts';

/** The lab's environment with one section changed. */
function changed<K extends 'redis' | 'sentinel' | 'haproxy' | 'app' | 'monitor' | 'packages'>(
  section: K,
  values: Partial<ReleaseSources['environment'][K]>,
): ReleaseSources {
  const from = sources();
  return { ...from, environment: { ...from.environment, [section]: { ...from.environment[section], ...values } } };
}

describe('a plan', () => {
  it('is nothing for a node that has and runs its release', () => {
    for (const node of ['redis-1', 'sentinel-1', 'app-1', 'lb-1', 'monitor-1']) {
      const release = releaseOf(node);
      expect(planNode(release, deployed(release))).toMatchObject({
        action: 'nothing',
        files: [],
        units: [],
        packages: [],
      });
    }
  });

  it('installs on a machine with nothing of ours', () => {
    const plan = planNode(releaseOf('lb-1'), blank('lb-1'));
    expect(plan.action).toBe('install');
    expect(plan.packages.map((each) => `${each.name} ${each.to}`)).toEqual([
      'haproxy 3.0.11',
      'socat any',
      'keepalived 2.3.3',
      'nftables any',
      'prometheus-node-exporter any',
    ]);
    expect(plan.units).toEqual(
      ['haproxy', 'keepalived', 'prometheus-node-exporter'].map((unit) => ({
        unit,
        how: 'restart',
        why: 'it has not run with a release yet',
      })),
    );
  });

  it('reloads HAProxy for a changed setting, and touches no other node', () => {
    const wanted = changed('haproxy', { rise: 3 });
    const plans = ['redis-1', 'sentinel-1', 'app-1', 'lb-1', 'monitor-1'].map((node) =>
      planNode(releaseOf(node, wanted), deployedBefore(releaseOf(node))),
    );
    expect(plans.filter((plan) => plan.action !== 'nothing').map((plan) => plan.node)).toEqual(['lb-1']);
    expect(plans[3]?.units).toEqual([{ unit: 'haproxy', how: 'reload', why: '/etc/haproxy/haproxy.cfg differs' }]);
  });

  it('applies live what Redis and Sentinel take live', () => {
    const redis = planNode(
      releaseOf('redis-1', changed('redis', { minReplicasMaxLagS: 5 })),
      deployedBefore(releaseOf('redis-1')),
    );
    expect(redis.units.map((unit) => unit.how)).toEqual(['live']);
    const sentinel = planNode(
      releaseOf('sentinel-1', changed('sentinel', { downAfterMs: 500 })),
      deployedBefore(releaseOf('sentinel-1')),
    );
    expect(sentinel.units.map((unit) => unit.how)).toEqual(['live']);
  });

  it('restarts for what takes effect at start only, and says which setting it is', () => {
    const plan = planNode(releaseOf('redis-1', changed('redis', { port: 6380 })), deployedBefore(releaseOf('redis-1')));
    expect(plan.units[0]).toMatchObject({
      how: 'restart',
      why: expect.stringContaining('port takes effect at start only'),
    });
  });

  it('remembers restart debt: current is right, but the unit still runs with an older release', () => {
    const wanted = changed('app', { holdMs: 1234 });
    const [old, now] = [releaseOf('app-1'), releaseOf('app-1', wanted)];
    const facts = { ...deployedBefore(old), current: now.digest, disk: deployed(now).disk };
    expect(planNode(now, facts)).toMatchObject({
      action: 'change',
      files: [],
      units: [{ unit: 'sessiond', how: 'restart' }],
    });
  });

  it('starts what is down, and repairs what somebody changed on the node', () => {
    const release = releaseOf('lb-1');
    const facts = deployed(release);
    const down = {
      ...facts,
      units: {
        ...facts.units,
        haproxy: { active: 'failed', sub: 'failed', enabled: 'enabled', pid: 0, restarts: 0, sinceS: undefined },
      },
    };
    expect(planNode(release, down).units).toEqual([{ unit: 'haproxy', how: 'restart', why: 'it is failed' }]);
    const edited = { ...facts, disk: { ...facts.disk, '/etc/haproxy/haproxy.cfg': '0'.repeat(64) } };
    expect(planNode(release, edited)).toMatchObject({
      files: [{ path: '/etc/haproxy/haproxy.cfg', kind: 'repair' }],
      units: [{ how: 'reload' }],
    });
  });

  it('does not take a restart of what only looks on for an interruption', () => {
    const plan = planNode(
      releaseOf('redis-1', changed('monitor', { nodeExporterPort: 9101 })),
      deployedBefore(releaseOf('redis-1')),
    );
    expect(plan.units.map((unit) => `${unit.how} ${unit.unit}`)).toEqual(['restart prometheus-node-exporter']);
    expect(interrupts(plan)).toBe(false);
  });

  it('sets a directive that is gone back live, and restarts only where Redis takes it at start', () => {
    const release = releaseOf('redis-1');
    const facts = deployedBefore({ ...release, digest: 'd'.repeat(64) });
    const path = '/etc/redis/firedrill.conf';
    const now = release.files.find((file) => file.path === path)?.content.toString('utf8');
    const without = (line: string) => {
      const old = { ...facts, contents: { ...facts.contents, [`${facts.current} ${path}`]: `${line}\n${now}` } };
      const manifest = old.manifests[facts.current ?? ''];
      if (manifest === undefined) throw new Error('no manifest');
      const files = manifest.files.map((file) => (file.path === path ? { ...file, sha256: 'old' } : file));
      return planNode(release, { ...old, manifests: { [facts.current ?? '']: { ...manifest, files } } }).units;
    };
    expect(without('maxmemory-samples 7')).toMatchObject([{ how: 'live' }]);
    expect(without('io-threads 2')).toMatchObject([{ how: 'restart', why: expect.stringContaining('io-threads') }]);
  });

  it('refuses a release that failed on its node, and shows it', () => {
    const release = releaseOf('app-1');
    const bad = { [release.digest]: 'in run r1: it crashed' };
    const plan = planNode(release, { ...deployedBefore({ ...release, digest: 'd' }), bad });
    expect(() => refuseBad([plan])).toThrow(/app-1: release \w{12} failed in run r1: it crashed\. .*force/);
    expect(describePlans([plan], [{ kind: 'nodes', nodes: ['app-1'] }], String)).toContain(
      '  refused, this release failed here in run r1: it crashed',
    );
    expect(planNode(release, { ...deployed(release), bad }).refused).toBeUndefined();
  });

  it('restarts for another upstream version, not for another build of the same', () => {
    const plan = planNode(
      releaseOf('redis-1', changed('packages', { redis: '8.0.3' })),
      deployedBefore(releaseOf('redis-1')),
    );
    expect(plan.units[0]?.why).toBe('redis-server 5:8.0.2-3+deb13u1 becomes 8.0.3');
    expect(
      ['5:8.0.2-3+deb13u1', '2.53.3+ds1-2', '3.0.11-1+deb13u5', '9.2.1~7.3.0+dfsg1-1'].map(upstreamVersion),
    ).toEqual(['8.0.2', '2.53.3', '3.0.11', '9.2.1~7.3.0']);
  });

  it('says so when the only load balancer is restarted, and not when it is reloaded', () => {
    const told = (version: string, maxConnections: number) => {
      const environment = { ...sources().environment };
      const wanted = {
        ...sources(),
        environment: {
          ...environment,
          packages: { ...environment.packages, haproxy: version },
          haproxy: { ...environment.haproxy, maxConnections },
        },
      };
      const plan = planNode(releaseOf('lb-1', wanted), deployedBefore(releaseOf('lb-1')));
      return describePlans([plan], [{ kind: 'nodes', nodes: ['lb-1'] }], String).join('\n');
    };
    expect(told('3.0.12', 4000)).toMatch(
      /restart haproxy.*only load balancer: until haproxy listens again it refuses/s,
    );
    expect(told('3.0.11', 3000)).toMatch(/reload haproxy/);
    expect(told('3.0.11', 3000)).not.toMatch(/refuses/);
  });

  it('says that the load balancer with the shared address hands it over before a restart, and not for a reload', () => {
    const told = (haproxy: string, maxConnections: number) => {
      const plan = planNode(
        releaseOf('lb-1', changed('haproxy', { maxConnections })),
        deployedBefore(releaseOf('lb-1', changed('packages', { haproxy }))),
      );
      const step = [{ kind: 'nodes' as const, nodes: ['lb-1'] }];
      return ['lb-1', 'lb-2'].map((holder) =>
        describePlans([plan], step, String, holder).join('\n').includes('hands it over first'),
      );
    };
    expect(told('3.0.10', 4000)).toEqual([true, false]);
    expect(told('3.0.11', 3000)).toEqual([false, false]);
  });

  it('shows the lines that change and no secret', () => {
    const plan = planNode(releaseOf('app-1', changed('app', { sessionTtlS: 77 })), deployedBefore(releaseOf('app-1')));
    const lines = describePlans(
      [plan],
      [{ kind: 'nodes', nodes: ['app-1'] }],
      redactor([secrets.redis, secrets.sentinel]),
    );
    expect(lines).toContain('    - session-ttl-s = 3600');
    expect(lines).toContain('    + session-ttl-s = 77');
    expect(lines.join('\n')).not.toMatch(/redis-password|sentinel-password/);
  });
});

describe('the way back', () => {
  const [old, now] = [releaseOf('app-1', changed('app', { holdMs: 1 })), releaseOf('app-1')];
  const nodes = sources().environment.nodes;
  const record = (generation: number, to: string, from: string | undefined = old.digest) => ({
    last: { run: 'r', generation, from, to, leftMs: 0 },
  });
  /** Has the work tree's release, and has kept the one before. */
  const changedNow = {
    ...deployedBefore(old),
    current: now.digest,
    running: deployed(now).running,
    disk: deployed(now).disk,
  };
  const manifests = { ...changedNow.manifests, ...deployedBefore(now).manifests };
  const contents = { ...changedNow.contents, ...deployedBefore(now).contents };
  const kept = { ...changedNow, manifests, contents };

  it('is that of the nodes of the last run, to what each had, without its files being sent', async () => {
    const other = { ...deployed(releaseOf('lb-1')), ...record(1, releaseOf('lb-1').digest) };
    const facts = new Map<string, NodeFacts>([
      ['app-1', { ...kept, ...record(2, now.digest) }],
      ['lb-1', other],
    ]);
    const plans = planRollback(nodes, facts);
    expect(plans).toMatchObject([
      { node: 'app-1', action: 'change', previous: now.digest, units: [{ unit: 'sessiond', how: 'restart' }] },
    ]);
    const release = plans[0]?.release;
    expect(release).toMatchObject({ digest: old.digest, kept: manifestText({ ...old, seeds: [] }) });
    expect(plans[0]?.files).toMatchObject([{ path: '/etc/sessiond/sessiond.conf', kind: 'change' }]);
    if (release === undefined) throw new Error('no release');
    const names = execFileSync('tar', ['-tzf', '-'], { input: await bundle(release, new Map()), encoding: 'utf8' });
    expect(names).toBe('manifest\n');
  });

  it('is refused when nothing was kept, or somebody went on since', () => {
    const none = [blank('app-1'), { ...kept, ...record(2, 'another') }, { ...deployed(now), ...record(2, now.digest) }];
    expect(() => planRollback(nodes, new Map([['app-1', none[0] as NodeFacts]]))).toThrow('no node has a release');
    expect(() => planRollback(nodes, new Map([['app-1', none[1] as NodeFacts]]))).toThrow('no node has a release');
    expect(() => planRollback(nodes, new Map([['app-1', none[2] as NodeFacts]]))).toThrow('not on this node any more');
  });
});
