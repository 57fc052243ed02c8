import { describe, expect, it } from 'vitest';
import { plainLog } from '../../actions/core/log.ts';
import type { ExecOptions, ExecResult } from '../../actions/core/ssh.ts';
import { applyPlans, type Engine } from '../../actions/rollout/engine.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { waitForLeases } from '../../actions/rollout/leases.ts';
import { planNode } from '../../actions/rollout/plan.ts';
import { buildReleases } from '../../actions/rollout/release.ts';
import type { Phase } from '../../actions/rollout/remote.ts';
import { blank, deployed, deployedBefore, releaseOf, sources } from './rollout-fixture.ts';

const from = sources();
const environment = {
  ...from.environment,
  rollout: { ...from.environment.rollout, gateIntervalMs: 1, gateTimeoutMs: 20 },
};
const primary = environment.nodes[0] as Engine['primary'];

/** What a node answers to a command of apply.sh (its words), to HAProxy's socket, or to facts.sh. */
type Answer = (node: string, command: string, stdin: string) => Promise<Partial<ExecResult>> | Partial<ExecResult>;

function engine(
  answer: Answer,
  facts: ReadonlyMap<string, NodeFacts>,
  names: readonly string[],
): Engine & { log: string[] } {
  const log: string[] = [];
  const phases: Phase[] = [];
  const ssh = (node: string) => ({
    node,
    exec: async (command: string, options: ExecOptions): Promise<ExecResult> => {
      const result = { code: 0, stdout: '', stderr: '', ...(await answer(node, command, String(options.stdin ?? ''))) };
      for (const line of result.stdout.split('\n')) options.onLine?.(line);
      return result;
    },
    forward: () => Promise.reject(new Error('no tunnels here')),
    close: () => {},
  });
  const plans = buildReleases(from)
    .filter((release) => names.includes(release.node))
    .map((release) => planNode(release, facts.get(release.node) ?? blank(release.node)));
  return {
    environment,
    fleet: new Map(environment.nodes.map((node) => [node.name, { node, ssh: ssh(node.name) }])),
    run: { id: 'run', generation: 1, leaseMs: 1000, who: 'test' },
    reporter: {
      log: plainLog((line) => log.push(line)),
      redact: (text) => text,
      onPhase: (_, each) => phases.push(each),
    },
    plans,
    facts,
    primary,
    handOver: () => Promise.reject(new Error('no handover here')),
    signal: new AbortController().signal,
    log,
  };
}

const failing = (detail: string) => ({
  code: 1,
  stdout: JSON.stringify({ phase: 'switch', ok: false, ms: 1, detail }),
});
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'nothing failed',
    (error: Error) => error.message,
  );

describe('nodes that are changed together', () => {
  it('are all waited for, and all failures told', async () => {
    const facts = new Map(environment.nodes.map((node) => [node.name, blank(node.name)]));
    const ended: string[] = [];
    const answer: Answer = async (node, command) => {
      if (!command.includes('apply.sh')) return { stdout: 'x' };
      if (node === 'sentinel-2') await new Promise((resolve) => setTimeout(resolve, 60));
      ended.push(node);
      return node === 'sentinel-3' ? {} : failing(`${node} is broken`);
    };
    const told = await failure(applyPlans(engine(answer, facts, ['sentinel-1', 'sentinel-2', 'sentinel-3'])));
    expect(ended).toEqual(['sentinel-1', 'sentinel-3', 'sentinel-2']);
    expect(told).toContain('sentinel-1 is broken');
    expect(told).toContain('sentinel-2 is broken');
    // The one that took its release is looked at like any other.
    expect(told).toContain('sentinel-3, gate: not reached in 20 ms');
  });
});

describe('a node that did not pass', () => {
  const old = { ...releaseOf('monitor-1'), digest: 'd'.repeat(64) };
  const facts = new Map([['monitor-1', deployedBefore(old)]]);
  const answering = (reverting: Partial<ExecResult>): Answer => {
    return (_, command) => (command.includes(old.digest) ? reverting : {});
  };

  it('is told to have kept its release when it could not be taken back', async () => {
    const digest = releaseOf('monitor-1').digest.slice(0, 12);
    const told = await failure(applyPlans(engine(answering(failing('disk full')), facts, ['monitor-1'])));
    expect(told).toContain('monitor-1, gate: not reached');
    expect(told).toContain(`monitor-1 could not be taken back to release dddddddddddd and has kept ${digest}`);
    expect(told).toContain('disk full');
  });

  it('is back at its old release without another word', async () => {
    const it = engine(answering({}), facts, ['monitor-1']);
    expect(await failure(applyPlans(it))).not.toContain('kept');
    expect(it.log).toContain('warning: monitor-1 is back at release dddddddddddd');
  });
});

describe('an app whose switch fails', () => {
  it('is told even when HAProxy does not take it back either', async () => {
    const old = releaseOf('app-1', { ...from, binary: Buffer.from('old') });
    const up = { backend: 'app', check: 'L7OK', sessions: 0, queue: 0, status: 'UP' };
    const facts = new Map([
      ['app-1', deployedBefore(old)],
      ['lb-1', { ...deployed(releaseOf('lb-1')), haproxy: [{ ...up, server: 'app-1' }] }],
    ]);
    const stat = '# pxname,svname,scur,qcur,status,check_status\napp,app-1,0,0,UP,L7OK\napp,app-2,0,0,UP,L7OK\n';
    const answer: Answer = (node, command, stdin) => {
      if (command.includes('apply.sh')) return failing('the disk is full');
      if (stdin.includes('ready')) return { code: 1, stderr: 'no socket' };
      if (command.includes('socat')) return { stdout: stdin.startsWith('show') ? stat : '\n' };
      const fact = (name: string, out: string) =>
        `{"fact":"${name}","code":0,"out":"${Buffer.from(out).toString('base64')}"}`;
      return { stdout: [...(node === 'lb-1' ? [fact('haproxy', stat)] : []), fact('end', '')].join('\n') };
    };
    const told = await failure(applyPlans(engine(answer, facts, ['app-1'])));
    expect(told).toMatch(/^app-1, switch: the disk is full\n/);
    expect(told).toContain('HAProxy refuses "set server app/app-1 state ready": no socket');
  });
});

describe('a lease that another run holds', () => {
  it('is not waited for past the deadline', async () => {
    const lease = { run: 'other', who: 'somebody', heldMs: 1, leftMs: 60_000 };
    const facts = new Map([['monitor-1', { ...blank('monitor-1'), lease }]]);
    const { fleet, plans, signal, reporter } = engine(() => ({}), facts, ['monitor-1']);
    const wait = { sources: from, fleet, log: reporter.log, signal };
    await expect(waitForLeases(facts, plans, { ...wait, deadline: performance.now() - 1 })).rejects.toThrow(
      'run other (somebody) has its lease still',
    );
    expect(await waitForLeases(new Map(), plans, { ...wait, deadline: 0 })).toBe(false);
  });
});
