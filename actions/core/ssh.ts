import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import { withDeadline } from './deadline.ts';
import { FiredrillError, messageOf } from './errors.ts';
import type { Secret } from './secret.ts';
import { awaitsLogin, loginAtOnce } from './ssh-login.ts';
import { type WaitingShells, waitingShells } from './ssh-shells.ts';

export interface SshTarget {
  readonly node: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** `ssh-ed25519 AAAA...`: the only key that the node may show. */
  readonly hostKey: string;
  readonly privateKey: Secret;
  readonly connectTimeoutMs: number;
  /** A shell of root's is kept waiting for the next command as root, which then takes one round trip instead of three. */
  readonly waitingShell?: 'at once' | 'after a command';
}

export interface ExecOptions {
  readonly stdin?: string | Buffer;
  /** `stdin` is lines of text without a secret in them: they may stand in the command line, which saves a round trip. */
  readonly openStdin?: boolean;
  readonly timeoutMs: number;
  /** Called with each whole line of standard output as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface ExecResult {
  /** Exit code, or -1 when the command ended by a signal or the connection broke. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * One connection to one node. Every call has a deadline. A command that overruns it closes the connection, since a half-open socket
 * never answers; a tunnel that does may only lead to a dead port, and leaves the connection as it is.
 */
export interface Ssh {
  readonly node: string;
  /** Runs a command line. Never put a value into it that was not quoted by `shellQuote`. */
  exec(command: string, options: ExecOptions): Promise<ExecResult>;
  /** A stream to `host:port` as seen from the node. */
  forward(host: string, port: number, timeoutMs: number): Promise<Duplex>;
  close(): void;
}

/** Connects, checks the pinned host key and logs in by public key. Throws a FiredrillError (`remote` or `timeout`) that names the node. */
export async function connectSsh(target: SshTarget): Promise<Ssh> {
  const client = await login(target);
  const shells = target.waitingShell && waitingShells(client, target.waitingShell);
  return {
    node: target.node,
    exec: (command, options) => exec({ client, node: target.node, shells }, command, options),
    forward: (host, port, timeoutMs) => forward(client, target.node, host, port, timeoutMs),
    close: () => {
      client.end();
      // A peer that is gone never answers the goodbye.
      setTimeout(() => client.destroy(), 1000).unref();
    },
  };
}

async function login(target: SshTarget): Promise<Client> {
  let reached = false;
  try {
    return await connected(target, (client) => {
      client.once('handshake', () => {
        reached = true;
      });
      loginAtOnce(client, target.user, target.privateKey.reveal());
      return awaitsLogin;
    });
  } catch (error) {
    if (!reached || error instanceof FiredrillError) throw connectError(target, error);
  }
  // Slower, and with errors that say what the server thinks.
  try {
    return await connected(target, () => ['publickey']);
  } catch (error) {
    throw connectError(target, error);
  }
}

type AuthHandler = NonNullable<ConnectConfig['authHandler']>;

async function connected(target: SshTarget, authHandler: (client: Client) => AuthHandler): Promise<Client> {
  const client = new Client();
  const ready = new Promise<void>((resolve, reject) => {
    client.once('ready', resolve);
    client.once('error', reject);
    client.once('close', () => reject(new Error('connection closed')));
  });
  client.on('error', () => {}); // later errors reach each call through 'close'
  try {
    client.connect({ ...connectConfig(target), authHandler: authHandler(client) });
    // Small packets both ways: Nagle's algorithm and delayed acknowledgements would make each exchange 40 ms.
    client.setNoDelay(true);
    await withDeadline(ready, target.connectTimeoutMs, `ssh to ${target.host}:${target.port}`);
    return client;
  } catch (error) {
    client.destroy();
    throw error;
  }
}

/** A value as one word of a POSIX shell command. */
export function shellQuote(value: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

function connectConfig(target: SshTarget): ConnectConfig {
  const pinned = Buffer.from(target.hostKey.split(' ')[1] ?? '', 'base64');
  return {
    host: target.host,
    port: target.port,
    username: target.user,
    privateKey: target.privateKey.reveal(),
    // ed25519 only: the pinned key is one, and one offer saves round trips.
    algorithms: { serverHostKey: ['ssh-ed25519'] },
    hostVerifier: (key: Buffer) => pinned.equals(key),
    readyTimeout: target.connectTimeoutMs,
    keepaliveInterval: 2000,
    keepaliveCountMax: 3,
  };
}

function connectError(target: SshTarget, error: unknown): FiredrillError {
  const message = messageOf(error);
  const mismatch = /verif/i.test(message);
  return new FiredrillError({
    code: error instanceof FiredrillError ? error.code : 'remote',
    node: target.node,
    where: `ssh ${target.user}@${target.host}:${target.port}`,
    what: mismatch ? 'the machine shows another host key than the one derived for this node' : message,
    fix: mismatch
      ? 'Either FIREDRILL_SECRET differs from the one it was created with, or this is not the machine; do not go on before you know which'
      : 'Check that the machine runs and that its firewall lets this address in',
    cause: error,
  });
}

interface Connection {
  readonly client: Client;
  readonly node: string;
  readonly shells: WaitingShells | undefined;
}

async function exec(connection: Connection, command: string, options: ExecOptions): Promise<ExecResult> {
  const { client, node, shells } = connection;
  let broken = (): void => {};
  const work = new Promise<ExecResult>((resolve, reject) => {
    const what = 'the ssh connection closed while a command ran';
    broken = () => reject(new FiredrillError({ code: 'remote', node, what }));
    client.once('close', broken);
    const shell = shells?.take(command);
    if (shell !== undefined) {
      collect(shell.channel, options, resolve);
      shell.channel.end(Buffer.concat([Buffer.from(shell.line), Buffer.from(options.stdin ?? '')]));
      return;
    }
    const inline = options.openStdin === true && typeof options.stdin === 'string';
    client.exec(inline ? withStdin(command, options.stdin) : command, (error, channel) => {
      if (error) {
        reject(error);
        return;
      }
      collect(channel, options, resolve);
      channel.end(inline ? '' : (options.stdin ?? ''));
    });
  });
  try {
    return await withDeadline(work, options.timeoutMs, `${node}: ${command.slice(0, 80)}`, () => client.destroy());
  } finally {
    client.removeListener('close', broken);
  }
}

/** The command with its standard input, which ends with a line's end, in the command line, as a shell writes it. */
function withStdin(command: string, stdin: string): string {
  const end = `end-${randomBytes(8).toString('hex')}`;
  return `{ ${command}\n} <<'${end}'\n${stdin}${stdin.endsWith('\n') ? '' : '\n'}${end}\n`;
}

function collect(channel: ClientChannel, options: ExecOptions, done: (result: ExecResult) => void): void {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  let code = -1;
  let pending = '';
  channel.on('data', (chunk: Buffer) => {
    out.push(chunk);
    if (options.onLine === undefined) return;
    const lines = (pending + chunk.toString('utf8')).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) options.onLine(line);
  });
  channel.stderr.on('data', (chunk: Buffer) => err.push(chunk));
  channel.on('exit', (exitCode: number | null) => {
    code = exitCode ?? -1;
  });
  channel.on('error', () => {}); // a broken pipe while stdin is written; the exit code tells
  channel.on('close', () => {
    if (pending !== '') options.onLine?.(pending);
    done({ code, stdout: Buffer.concat(out).toString('utf8'), stderr: Buffer.concat(err).toString('utf8') });
  });
}

async function forward(client: Client, node: string, host: string, port: number, timeoutMs: number): Promise<Duplex> {
  let late = false;
  const work = new Promise<Duplex>((resolve, reject) => {
    client.forwardOut('127.0.0.1', 0, host, port, (error, channel) => {
      if (late) channel?.close();
      else if (error) {
        reject(
          new FiredrillError({ code: 'remote', node, where: `${host}:${port}`, what: error.message, cause: error }),
        );
      } else resolve(channel);
    });
  });
  return await withDeadline(work, timeoutMs, `${node}: tunnel to ${host}:${port}`, () => {
    late = true;
  });
}
