import { describe, expect, it } from 'vitest';
import { deriveDeployKey } from '../../actions/core/derive.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import { runOnNode } from '../../actions/rollout/remote.ts';
import { rollOut } from '../../actions/rollout/rollout.ts';
import { run } from '../../actions/rollout/run.ts';
import { sources } from './rollout-fixture.ts';

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
      runOnNode({ node, ssh }, { id: 'r', generation: 1, leaseMs: 1, who: 'x' }, command, reporter),
    ).rejects.toThrow(`ended with code 1\n***${'x'.repeat(495)}`);
  });
});

describe('a summary that cannot be written', () => {
  it('is a warning, and the rollout is what it was', async () => {
    const log: string[] = [];
    const ssh = (name: string) => ({
      node: name,
      exec: async () => ({ code: 0, stdout: '{"fact":"end","code":0,"out":""}', stderr: '' }),
      forward: () => Promise.reject(new Error('no tunnels here')),
      close: () => {},
    });
    const fleet = new Map(sources().environment.nodes.map((each) => [each.name, { node: each, ssh: ssh(each.name) }]));
    const report = await rollOut(sources(), fleet, true, {
      log: plainLog((line) => log.push(line)),
      summary: () => Promise.reject(new Error('no file')),
      who: 'test',
      signal: new AbortController().signal,
    });
    expect(report.ok).toBe(true);
    expect(log).toContain("warning: the job summary can't be written: no file");
  });
});
