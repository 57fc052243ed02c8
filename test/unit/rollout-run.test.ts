import { describe, expect, it } from 'vitest';
import { deriveDeployKey } from '../../actions/core/derive.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { runOnNode } from '../../actions/rollout/remote.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { rollOut } from '../../actions/rollout/rollout.ts';
import { run } from '../../actions/rollout/run.ts';
import { settlePending } from '../../actions/rollout/settle.ts';
import { timeline } from '../../actions/rollout/summary.ts';
import { blank, sources } from './rollout-fixture.ts';
import { fact, told } from './rollout-told.ts';

const [node] = sources().environment.nodes;

describe('secrets', () => {
  it('are masked in the log, the derived key line by line', async () => {
    const fleetSecret = new Secret('x'.repeat(32));
    const masked: string[] = [];
    const inputs = {
      environment: 'lab',
      linodeToken: new Secret('token-of-linode'),
      fleetSecret,
      binary: '',
      mode: 'status' as const,
      force: false,
    };
    const deps: Parameters<typeof run>[1] = {
      linode: () => {
        throw new Error('not asked');
      },
      connect: () => Promise.reject(new Error('not connected')),
      log: plainLog(() => {}),
      mask: (value) => masked.push(value),
      summary: async () => {},
      root: '',
      who: 'test',
      signal: new AbortController().signal,
      inventory: () => Promise.reject(new Error('stopped here')),
    };
    await expect(run(inputs, deps)).rejects.toThrow('stopped here');
    const key = deriveDeployKey(fleetSecret, 'lab').privateKey.reveal().split('\n');
    expect(masked).toEqual(expect.arrayContaining(key.slice(1, 4)));
    expect(masked.every((value) => value.length > 8 && !value.includes('\n'))).toBe(true);
  });

  it('are taken out of what a node said before it is cut, so that no half of one is left', async () => {
    if (node === undefined) throw new Error('no node');
    const secret = 'secret-password';
    const ssh = {
      node: node.name,
      exec: async () => ({ code: 1, stdout: '', stderr: `${secret}${'x'.repeat(495)}` }),
      forward: () => Promise.reject(new Error('no tunnels here')),
      close: () => {},
    };
    const reporter = {
      log: plainLog(() => {}),
      redact: (text: string) => text.replaceAll(secret, '***'),
      onPhase: () => {},
    };
    const command = { words: ['finish'], timeoutMs: 1 };
    await expect(
      runOnNode(
        { node, ssh, again: async () => ssh },
        { id: 'r', generation: 1, leaseMs: 1, who: 'x' },
        command,
        reporter,
      ),
    ).rejects.toThrow(`ended with code 1\n***${'x'.repeat(495)}`);
  });
});

describe('a summary that cannot be written', () => {
  it('is a warning, and the rollout is what it was', async () => {
    const log: string[] = [];
    const ssh = (name: string) => ({
      node: name,
      exec: async () => ({ code: 0, stdout: told(fact('end', '')), stderr: '' }),
      forward: () => Promise.reject(new Error('no tunnels here')),
      close: () => {},
    });
    const fleet = new Map(
      sources().environment.nodes.map((each) => [
        each.name,
        { node: each, ssh: ssh(each.name), again: async () => ssh(each.name) },
      ]),
    );
    const report = await rollOut(
      sources(),
      fleet,
      { mode: 'plan', force: false },
      {
        log: plainLog((line) => log.push(line)),
        summary: () => Promise.reject(new Error('no file')),
        who: 'test',
        signal: new AbortController().signal,
      },
    );
    expect(report.ok).toBe(true);
    expect(log).toContain("warning: the job summary can't be written: no file");
  });
});

describe('the job summary', () => {
  it('has a line for each node and phase, by its beginning', () => {
    const phase = (name: string, endMs: number, ms: number, ok = true) => ({
      phase: name,
      ok,
      ms,
      endMs,
      detail: 'so\nit',
    });
    const nodes = [
      { node: 'app-1', phases: [phase('switch', 1200, 200), phase('journal', 1250, 0)] },
      { node: 'lb-1', phases: [phase('gate', 900, 850, false)] },
    ] as unknown as RolloutReport['nodes'];
    expect(timeline({ nodes })).toEqual([
      '      50 ms  lb-1         gate           850 ms  FAILED so',
      '    1000 ms  app-1        switch         200 ms  so',
    ]);
  });
});

describe('a node that a dead run left unconfirmed', () => {
  const pending = { run: 'dead', generation: 1, from: 'a', to: 'b', leftMs: 60_000 };
  const settle = async (code: number, more: Partial<NodeFacts> = {}) => {
    const asked: string[] = [];
    const ssh = {
      node: 'app-1',
      exec: async (command: string) => {
        asked.push(command);
        return { code, stdout: 'no room', stderr: '' };
      },
      forward: () => Promise.reject(new Error('no tunnels here')),
      close: () => {},
    };
    const [, , , , , , app] = sources().environment.nodes;
    if (app === undefined) throw new Error('no node');
    const fleet = new Map([['app-1', { node: app, ssh, again: async () => ssh }]]);
    const facts = new Map([['app-1', { ...blank('app-1'), pending, ...more }]]);
    return {
      settled: await settlePending(
        fleet,
        facts,
        plainLog(() => {}),
      ),
      asked,
    };
  };

  it('goes back before anything else is planned', async () => {
    expect(await settle(0)).toEqual({ settled: true, asked: [expect.stringContaining('revert.sh settle')] });
    expect((await settle(0, { pending: undefined })).settled).toBe(false);
    await expect(settle(1)).rejects.toThrow("app-1, settle: an unconfirmed release can't be taken back: no room");
  });

  it('is left alone while somebody holds it', async () => {
    const lease = { run: 'dead', who: 'x', heldMs: 1, leftMs: 1 };
    expect(await settle(0, { lease })).toEqual({ settled: false, asked: [] });
  });
});

describe('a run whose clock is behind', () => {
  it('is newer than those that the nodes have seen all the same', async () => {
    const seen = Date.now() + 3_600_000;
    const facts = told(fact('time', String(Date.now())), fact('lease', `old ${seen} 0 0 x`), fact('end', ''));
    const ssh = (name: string) => ({
      node: name,
      exec: async () => ({ code: 0, stdout: facts, stderr: '' }),
      forward: () => Promise.reject(new Error('no tunnels here')),
      close: () => {},
    });
    const members = sources().environment.nodes.map((each) => {
      return [each.name, { node: each, ssh: ssh(each.name), again: async () => ssh(each.name) }] as const;
    });
    const options = { mode: 'plan' as const, force: false };
    const report = await rollOut(sources(), new Map(members), options, {
      log: plainLog(() => {}),
      summary: async () => {},
      who: 'test',
      signal: new AbortController().signal,
    });
    expect(report.generation).toBe(seen + 1);
  });
});
