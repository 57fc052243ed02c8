import { describe, expect, it } from 'vitest';
import type { ExecResult } from '../../actions/core/ssh.ts';
import { applyPlans, type Progress } from '../../actions/rollout/engine.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { waitForLeases } from '../../actions/rollout/leases.ts';
import { buildReleases } from '../../actions/rollout/release.ts';
import { blank, deployed, deployedBefore, primaryFacts, releaseOf, sources } from './rollout-fixture.ts';
import { type Answer, environment, failing, phaseLine, type World, well, world } from './rollout-world.ts';

const from = sources();
const apply = async (it: World): Promise<Progress & { told: string }> => {
  const progress: Progress = { handovers: [], bad: [], primary: it.primary };
  const told = await applyPlans(it, progress).then(
    () => 'nothing failed',
    (error: Error) => error.message,
  );
  return Object.assign(progress, { told });
};

/** A fleet that serves, with another binary and other ports than the work tree's on `changed`. */
function serving(...changed: string[]): Map<string, NodeFacts> {
  const { monitor, redis, sentinel } = from.environment;
  const old = {
    ...from,
    binary: Buffer.from('old'),
    environment: {
      ...from.environment,
      monitor: { ...monitor, port: 1 },
      sentinel: { ...sentinel, port: 2 },
      redis: { ...redis, port: 3 },
    },
  };
  const facts = new Map(
    buildReleases(from).map((release) => [
      release.node,
      changed.includes(release.node) ? deployedBefore(releaseOf(release.node, old)) : deployed(release),
    ]),
  );
  const up = { backend: 'app', server: 'app-1', check: 'L7OK', sessions: 0, queue: 0, status: 'UP' };
  facts.set('lb-1', { ...(facts.get('lb-1') ?? blank('lb-1')), haproxy: [up] });
  facts.set('lb-2', { ...(facts.get('lb-2') ?? blank('lb-2')), haproxy: [up] });
  return facts;
}

/** With what the planning has heard of redis-1. */
function withPrimary(facts: Map<string, NodeFacts>): Map<string, NodeFacts> {
  const redis = primaryFacts('198.18.0.12', '198.18.0.13');
  return facts.set('redis-1', { ...(facts.get('redis-1') ?? blank('redis-1')), redis });
}

/** Without nonces and digests. */
const shortly = (asked: readonly string[]) => asked.map((each) => each.split(' ').slice(0, 3).join(' '));

describe('a rollout that goes well', () => {
  it('changes one node after the other, each confirmed over a connection of its own before the next', async () => {
    const it = world(() => ({}), serving('monitor-1', 'app-1', 'app-2'), ['monitor-1', 'app-1', 'app-2']);
    expect((await apply(it)).told).toBe('nothing failed');
    expect(shortly(it.asked)).toEqual(
      ['monitor-1', 'app-1', 'app-2'].flatMap((node) => [
        expect.stringMatching(`^${node} switch `),
        `${node} new confirm`,
      ]),
    );
  });

  it.each([
    ['in time', '', { pausedMs: 123, caughtUpMs: 4, promotedMs: 119 }],
    ['late', ', later than it should be', { pausedMs: 4321, caughtUpMs: 20, promotedMs: 4301 }],
  ])(
    'has the primary hand over by its own script, %s, and restarts it when all follow another one',
    async (_, how, paused) => {
      let leader = 'redis-1';
      const { pausedMs, caughtUpMs, promotedMs } = paused;
      const figures = `writes waited ${pausedMs} ms (${caughtUpMs} for the replicas, ${promotedMs} for Sentinel)`;
      const said = `handover: 198.18.0.12:6379 is primary${how}; ${figures}`;
      const answer: Answer = (node, command, stdin) => {
        if (!command.includes(' handover '))
          return command.includes('apply.sh') ? {} : { stdout: well(node, stdin, leader) };
        leader = 'redis-2';
        return { stdout: phaseLine('handover', true, said) };
      };
      const facts = serving('redis-1');
      const it = world(answer, withPrimary(facts), ['redis-1']);
      const { told, handovers, primary } = await apply(it);
      expect(told).toBe('nothing failed');
      expect(shortly(it.asked)).toEqual([
        'redis-1 handover 1',
        expect.stringMatching(/^redis-1 switch/),
        'redis-1 new confirm',
      ]);
      expect(handovers).toEqual([{ to: 'redis-2', ...paused }]);
      expect(primary.name).toBe('redis-2');
    },
  );

  it('stops before the primary when that does not hand over, and leaves it as it was', async () => {
    const refused = {
      code: 1,
      stdout: phaseLine('handover', false, 'handover: Sentinel knows no replica that it could promote'),
    };
    const it = world((_, command) => (command.includes(' handover ') ? refused : {}), withPrimary(serving('redis-1')), [
      'redis-1',
    ]);
    expect((await apply(it)).told).toMatch(/redis-1, handover: .*no replica that it could promote/);
    expect(shortly(it.asked)).toEqual(['redis-1 handover 1']);
  });

  it('confirms with the nonce that the node was given, another one for each', async () => {
    const it = world(() => ({}), serving('app-1', 'app-2'), ['app-1', 'app-2']);
    await apply(it);
    const given = it.asked.filter((each) => each.includes(' switch ')).map((each) => each.split(' ')[6]);
    const confirmed = it.asked.filter((each) => each.includes(' confirm ')).map((each) => each.split(' ')[3]);
    expect(confirmed).toEqual(given);
    expect(new Set(given).size).toBe(2);
    expect(given[0]).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('nodes that are changed together', () => {
  it('are all waited for, and all failures told', async () => {
    const facts = new Map(environment.nodes.map((node) => [node.name, blank(node.name)]));
    const ended: string[] = [];
    const answer: Answer = async (node, command) => {
      if (!command.includes('apply.sh')) return { stdout: 'x' };
      if (!command.includes(' switch ')) return {};
      if (node === 'sentinel-2') await new Promise((resolve) => setTimeout(resolve, 60));
      ended.push(node);
      return node === 'sentinel-3' ? {} : failing(`${node} is broken`);
    };
    const { told } = await apply(world(answer, facts, ['sentinel-1', 'sentinel-2', 'sentinel-3']));
    expect(ended).toEqual(['sentinel-1', 'sentinel-3', 'sentinel-2']);
    expect(told).toContain('sentinel-1 is broken');
    expect(told).toContain('sentinel-2 is broken');
    // The one that took its release is looked at like any other.
    expect(told).toContain('sentinel-3, gate: not reached in 40 ms: unreachable');
  });
});

describe('a node that did not pass', () => {
  const nodes = ['monitor-1', 'app-1', 'app-2'];
  const sick: Answer = (node, command, stdin) => {
    if (command.includes(' revert ')) return { stdout: `${phaseLine('journal', true, 'journal of sessiond: boom')}\n` };
    if (command.includes('apply.sh') || node !== 'app-2') return {};
    return { stdout: well('sick', stdin) };
  };

  it('goes back, then the others of this run, the last one first; only its release is bad', async () => {
    const it = world(sick, serving(...nodes), nodes);
    const { told, bad } = await apply(it);
    const reverts = it.asked.filter((each) => each.includes(' revert '));
    expect(reverts.map((each) => each.split(' ')[0])).toEqual(['app-2', 'app-1', 'monitor-1']);
    expect(reverts[0]).toContain('/healthz answers');
    expect(reverts.slice(1).every((each) => each.endsWith(' test -'))).toBe(true);
    expect(bad.map((each) => each.node)).toEqual(['app-2']);
    expect(told).toMatch(/^app-2, gate: not reached in 40 ms: unhealthy: \/healthz answers 503/);
    expect(told).toContain('journal of sessiond: boom');
    expect(told).toContain('what was changed on app-2:\n  change /usr/local/bin/sessiond');
    expect(told).toContain('app-1, monitor-1: taken back to the release before this run');
  });

  it('is told to go back by itself when it can be reached no more; the others go back all the same', async () => {
    const lost: Answer = (node, command) => {
      if (node === 'app-1' && command.includes('apply.sh')) throw new Error('the ssh connection closed');
      return {};
    };
    const it = world(lost, serving(...nodes), nodes);
    const { told, bad } = await apply(it);
    expect(told).toMatch(
      /app-1 could not be told to go back: the ssh connection closed\. It does so by itself within \d+ s/,
    );
    expect(told).toContain('monitor-1: taken back');
    expect(bad).toEqual([]);
  });

  it.each([
    ['cut short', -1],
    ['killed in a part of it, or by a reboot', 137],
  ])(
    'is told to go back when its command was %s, since that took nothing back; its release is not bad',
    async (_, code) => {
      const rebooted: Answer = (node, command) =>
        node === 'app-1' && command.includes(' switch ') ? { code, stdout: phaseLine('arm', true, '') } : {};
      const it = world(rebooted, serving(...nodes), nodes);
      const { told, bad } = await apply(it);
      expect(told).toMatch(/^app-1, apply: the command ended without an exit code, the last that it told was arm/);
      expect(it.asked.filter((each) => each.includes(' revert ')).map((each) => each.split(' ')[0])).toEqual([
        'app-1',
        'monitor-1',
      ]);
      expect(bad).toEqual([]);
    },
  );

  it('is waited for while the command whose connection broke is still at work there', async () => {
    let told = 0;
    const busy: Answer = (node, command) => {
      if (node !== 'app-1') return {};
      if (command.includes(' switch ')) throw new Error('the ssh connection closed');
      if (!command.includes(' revert ')) return {};
      told += 1;
      return told === 1 ? failing('a command of another run works on this node right now', 'lease') : {};
    };
    const patient = { ...environment, ssh: { ...environment.ssh, connectTimeoutMs: 5000 } };
    const result = await apply({ ...world(busy, serving(...nodes), nodes), environment: patient });
    expect(told).toBe(2);
    expect(result.told).not.toContain('could not be told');
  });

  it('is not asked for again once a newer run was there', async () => {
    let told = 0;
    const newer: Answer = (node, command) => {
      if (node !== 'app-1') return {};
      if (command.includes(' confirm ')) return failing('nothing waits for a confirmation here', 'confirm');
      if (!command.includes(' revert ')) return {};
      told += 1;
      return failing('a newer run (2, by x) was here already; this one is 1', 'generation');
    };
    const result = await apply(world(newer, serving(...nodes), nodes));
    expect(told).toBe(1);
    expect(result.told).toContain('app-1 could not be told to go back');
    expect(result.told).toContain('a newer run (2, by x)');
  });

  it('and cannot be followed by all others names those that were left', async () => {
    const stuck: Answer = (node, command, stdin) =>
      node === 'monitor-1' && command.includes(' revert ')
        ? failing('disk full', 'revert')
        : sick(node, command, stdin);
    const { told } = await apply(world(stuck, serving(...nodes), nodes));
    expect(told).toContain('app-1: taken back');
    expect(told).toMatch(/monitor-1 could not be taken back and may have the new release: .*disk full/);
  });

  it('without an earlier release is no reason to refuse the same again', async () => {
    const facts = serving();
    facts.set('monitor-1', blank('monitor-1'));
    const broken: Answer = (_, command) => (command.includes(' switch ') ? failing('boom') : {});
    expect((await apply(world(broken, facts, ['monitor-1']))).bad).toEqual([]);
  });
});

describe('a rollout that is not the release’s fault', () => {
  const nodes = ['monitor-1', 'app-1', 'app-2'];

  it.each([
    [
      'another run took the node',
      'app-1',
      phaseLine('lease', false, 'run b (x) has worked on this node for 2 s and its lease holds for 28 s more'),
    ],
    [
      'a newer run was before it',
      'app-1',
      phaseLine('generation', false, 'a newer run (2, by x) was here already; this one is 1'),
    ],
    ['the node changed after the plan', 'app-1', phaseLine('switch', false, 'this node has release b')],
  ])('stops where %s, and leaves what passed', async (_, node, said) => {
    const answer: Answer = (each, command) =>
      each === node && command.includes(' switch ') ? { code: 1, stdout: said } : {};
    const it = world(answer, serving(...nodes), nodes);
    const { told, bad } = await apply(it);
    expect(told).toContain(JSON.parse(said).detail);
    expect(it.asked.filter((each) => each.includes(' revert '))).toEqual([]);
    expect(bad).toEqual([]);
  });

  it('cancelled in a gate takes that node back and leaves what passed', async () => {
    const cancel = new AbortController();
    const answer: Answer = (node, command, stdin) => {
      if (node !== 'app-1' || command.includes('apply.sh')) return {};
      cancel.abort();
      return { stdout: well('sick', stdin) };
    };
    const it = { ...world(answer, serving(...nodes), nodes), signal: cancel.signal };
    expect((await apply(it)).told).toBe('app-1, gate: cancelled');
    expect(shortly(it.asked).slice(2)).toEqual([expect.stringMatching('^app-1 switch'), 'app-1 new revert']);
    expect(it.asked.at(-1)).toMatch(/ test -$/);
  });

  it('cancelled between two nodes begins no other', async () => {
    const cancel = new AbortController();
    const answer: Answer = (_, command) => {
      if (command.includes(' confirm ')) cancel.abort();
      return {};
    };
    const it = { ...world(answer, serving(...nodes), nodes), signal: cancel.signal };
    expect((await apply(it)).told).toContain('cancelled between two nodes');
    expect(shortly(it.asked)).toEqual([expect.stringMatching('^monitor-1 switch'), 'monitor-1 new confirm']);
  });
});

describe('an app whose switch fails', () => {
  it('is told even when HAProxy does not take it back either', async () => {
    const answer = (node: string, command: string, stdin: string): Partial<ExecResult> => {
      if (command.includes(' switch ')) return failing('the disk is full');
      return node === 'lb-1' && stdin.includes('ready') ? { code: 1, stderr: 'no socket' } : {};
    };
    const { told } = await apply(world(answer, serving('app-1'), ['app-1']));
    expect(told).toMatch(/^app-1, switch: the disk is full\n/);
    expect(told).toContain('HAProxy refuses "set server app/app-1 state ready": no socket');
  });
});

describe('a lease that another run holds', () => {
  it('is not waited for past the deadline', async () => {
    const lease = { run: 'other', who: 'somebody', heldMs: 1, leftMs: 60_000 };
    const facts = new Map([['monitor-1', { ...blank('monitor-1'), lease }]]);
    const { fleet, signal, reporter } = world(() => ({}), facts, []);
    const wait = { sources: from, fleet, log: reporter.log, signal };
    await expect(waitForLeases(facts, ['monitor-1'], { ...wait, deadline: performance.now() - 1 })).rejects.toThrow(
      'run other (somebody) has its lease still',
    );
    expect(await waitForLeases(facts, [], { ...wait, deadline: 0 })).toBe(false);
  });
});
