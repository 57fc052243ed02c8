import { spawn } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import type { ServerChannel } from 'ssh2';
import { afterEach, describe, expect, test } from 'vitest';
import { deriveDeployKey, deriveHostKey } from '../../actions/core/derive.ts';
import { Secret } from '../../actions/core/secret.ts';
import { connectSsh, type Ssh, type SshTarget } from '../../actions/core/ssh.ts';
import { type Relay, relay } from '../relay.ts';
import { type SshHost, sshHost } from '../ssh-host.ts';

const secret = new Secret('a fleet secret of at least thirty-two characters');
const hostKey = deriveHostKey(secret, 'lab', 'node-1');
const deployKey = deriveDeployKey(secret, 'lab');
const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** Runs commands as sshd does: the user's shell with -c. The user is root, so to speak. */
function runHere(command: string, channel: ServerChannel): void {
  const child = spawn('sh', ['-c', command.replace(/^sudo -n /, '')]);
  channel.pipe(child.stdin);
  child.stdin.on('error', () => {});
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  child.on('close', (code) => {
    channel.exit(code ?? 255);
    channel.end();
  });
}

/** `cat`, at once, in the command line's shell or in one that waited: where trips are counted no process may be slow to start. */
async function catHere(command: string, channel: ServerChannel): Promise<void> {
  const text = command.includes('<<') ? command : await buffer(channel);
  channel.write(text);
  channel.exit(0);
  channel.end();
}

async function host(
  allowed = deployKey.publicLine,
  run: (command: string, channel: ServerChannel) => void = runHere,
): Promise<{ host: SshHost; between: Relay }> {
  const there = await sshHost({ hostKey: hostKey.privateKey.reveal(), allowed, run });
  const between = await relay(there.port);
  open.push(there, between);
  return { host: there, between };
}

async function connect(port: number, more: Partial<SshTarget> = {}): Promise<Ssh> {
  const ssh = await connectSsh({
    ...{ node: 'node-1', host: '127.0.0.1', port, user: 'deploy', hostKey: hostKey.publicLine },
    ...{ privateKey: deployKey.privateKey, connectTimeoutMs: 10_000 },
    ...more,
  });
  open.push(ssh);
  return ssh;
}

const timeoutMs = 10_000;

describe('a connection', () => {
  test('takes four round trips, TCP among them', async () => {
    const { host: there, between } = await host();
    await connect(between.port);
    expect(await between.settled()).toBe(4);
    expect(there.logins()).toBe(1);
  });

  test('that a node refuses says so, also to whoever logs in at once', async () => {
    const { between } = await host(deriveDeployKey(secret, 'other').publicLine);
    await expect(connect(between.port)).rejects.toThrow(/authentication methods failed/);
  });

  test('to a machine with another key is refused', async () => {
    const { between } = await host();
    const hostKeyOfOther = deriveHostKey(secret, 'lab', 'node-2').publicLine;
    await expect(connect(between.port, { hostKey: hostKeyOfOther })).rejects.toThrow(/another host key/);
  });
});

describe('a command', () => {
  test.each([
    ['no shell', {}],
    ['one after a command', { waitingShell: 'after a command' }],
    ['one at once', { waitingShell: 'at once' }],
  ] as const)('gets its input and gives its output and code (waiting: %s)', async (_, more) => {
    const { between } = await host();
    const ssh = await connect(between.port, more);
    await between.settled();
    for (let round = 0; round < 3; round += 1) {
      const lines: string[] = [];
      const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
      const options = { timeoutMs, stdin: bytes, onLine: (line: string) => lines.push(line) };
      const result = await ssh.exec("sudo -n sh -c 'wc -c; echo oops >&2; exit 3'", options);
      expect({ ...result, lines }).toEqual({ code: 3, stdout: '100000\n', stderr: 'oops\n', lines: ['100000'] });
      await between.settled();
    }
  });

  test('may have its input in the command line', async () => {
    const { between } = await host();
    const ssh = await connect(between.port);
    const stdin = 'echo "$1 $2" \'$HOME\'\ncat <<EOF\nmore\nEOF\n';
    expect((await ssh.exec('cat', { stdin, openStdin: true, timeoutMs })).stdout).toBe(stdin);
    const result = await ssh.exec('true; sh -s -- a b', { stdin, openStdin: true, timeoutMs });
    expect(result).toEqual({ code: 0, stdout: 'a b $HOME\nmore\n', stderr: '' });
  });

  test('of several lines runs as it is', async () => {
    const { between } = await host();
    const ssh = await connect(between.port, { waitingShell: 'after a command' });
    for (let round = 0; round < 2; round += 1) {
      expect((await ssh.exec('echo a\necho b', { timeoutMs })).stdout).toBe('a\nb\n');
      await between.settled();
    }
  });

  test('takes two round trips, with input in the command line too, and one where a shell waits', async () => {
    const { between } = await host(undefined, catHere);
    const cost = async (ssh: Ssh, stdin: string | Buffer, openStdin: boolean): Promise<number> => {
      const before = await between.settled();
      await ssh.exec('sudo -n cat', { stdin, openStdin, timeoutMs });
      return between.trips() - before;
    };
    const measured = async () => {
      const many = await connect(between.port, { waitingShell: 'after a command' });
      const first = await cost(many, 'text\n', true);
      const second = await cost(many, Buffer.alloc(1000), false);
      const ready = await cost(await connect(between.port, { waitingShell: 'at once' }), 'text\n', false);
      return [first, second, ready, await cost(await connect(between.port), 'text\n', false)];
    };
    // A program that starts late on a busy machine looks like a trip more, never like one less.
    const fewest = [99, 99, 99, 99];
    for (let count = 0; count < 5 && String(fewest) !== '2,1,1,3'; count += 1)
      for (const [index, trips] of (await measured()).entries()) fewest[index] = Math.min(fewest[index] ?? 99, trips);
    expect(fewest).toEqual([2, 1, 1, 3]);
  }, 30_000);
});
