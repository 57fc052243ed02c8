import { describe, expect, it } from 'vitest';
import { describePlans } from '../../actions/rollout/describe.ts';
import { planNode, upstreamVersion } from '../../actions/rollout/plan.ts';
import { redactor } from '../../actions/rollout/redact.ts';
import type { ReleaseSources } from '../../actions/rollout/release.ts';
import { blank, deployed, deployedBefore, releaseOf, secrets, sources } from './rollout-fixture.ts';

/** The lab's environment with one section changed. */
function changed<K extends 'redis' | 'sentinel' | 'haproxy' | 'app' | 'packages'>(
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
    expect(plan.packages.map((each) => `${each.name} ${each.to}`)).toEqual(['haproxy 3.0.11', 'socat any']);
    expect(plan.units).toEqual([{ unit: 'haproxy', how: 'restart', why: 'it has not run with a release yet' }]);
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

  it('shows the lines that change and no secret', () => {
    const plan = planNode(releaseOf('app-1', changed('app', { waitMs: 77 })), deployedBefore(releaseOf('app-1')));
    const lines = describePlans(
      [plan],
      [{ kind: 'nodes', nodes: ['app-1'] }],
      redactor([secrets.redis, secrets.sentinel]),
    );
    expect(lines).toContain('    - wait-ms = 1000');
    expect(lines).toContain('    + wait-ms = 77');
    expect(lines.join('\n')).not.toMatch(/redis-password|sentinel-password/);
  });
});
