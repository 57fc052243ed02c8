import { describe, expect, it } from 'vitest';
import { FiredrillError } from '../../actions/core/errors.ts';
import { keptSsh } from '../../actions/core/kept-ssh.ts';
import type { Ssh } from '../../actions/core/ssh.ts';

/** A connection whose commands end as `work` says. */
const connection = (work: () => Promise<string>, closed: string[] = [], name = 'one'): Ssh => ({
  node: 'app-1',
  exec: async () => ({ code: 0, stdout: await work(), stderr: '' }),
  forward: () =>
    Promise.reject(new FiredrillError({ code: 'remote', what: '(SSH) Channel open failure: Connection refused' })),
  close: () => void closed.push(name),
});
const broken = () =>
  Promise.reject(new FiredrillError({ code: 'remote', what: 'the ssh connection closed while a command ran' }));
const once = { timeoutMs: 1000 };

describe('a connection that is kept', () => {
  it('is made anew at the first use after it broke, and what broke with it is not sent again', async () => {
    const closed: string[] = [];
    let made = 0;
    const connect = async () => connection(async () => `connection ${++made}`);
    const ssh = keptSsh('app-1', connect, connection(broken, closed));
    await expect(ssh.exec('true', once)).rejects.toThrow('connection closed');
    expect(made).toBe(0);
    expect((await ssh.exec('true', once)).stdout).toBe('connection 1');
    expect(closed).toEqual(['one']);
  });

  it('stays when only a port behind it refuses', async () => {
    const ssh = keptSsh(
      'app-1',
      () => Promise.reject(new Error('no other one')),
      connection(async () => 'the same'),
    );
    await expect(ssh.forward('127.0.0.1', 1, 1000)).rejects.toThrow('refused');
    expect((await ssh.exec('true', once)).stdout).toBe('the same');
  });
});
