import type { AddressInfo } from 'node:net';
import ssh2, { type Connection, type ServerChannel } from 'ssh2';

export interface SshHost {
  readonly port: number;
  /** How often somebody logged in. */
  readonly logins: () => number;
  close(): Promise<void>;
}

export interface SshHostOptions {
  /** PEM or OpenSSH. */
  readonly hostKey: string;
  /** `ssh-ed25519 AAAA...` of the one who may log in. */
  readonly allowed: string;
  /** Of loopback; 127.0.0.1 and a free port if not given. */
  readonly address?: string;
  readonly port?: number;
  /** Runs a command line on the channel and ends it. */
  readonly run: (command: string, channel: ServerChannel) => void;
}

/** An ssh server on loopback, for one user with one key. */
export async function sshHost({
  hostKey,
  allowed,
  run,
  address = '127.0.0.1',
  port = 0,
}: SshHostOptions): Promise<SshHost> {
  const key = Buffer.from(allowed.split(' ')[1] ?? '', 'base64');
  const connections = new Set<Connection>();
  let logins = 0;
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (connection) => {
    connections.add(connection);
    connection.on('error', () => {});
    connection.on('close', () => connections.delete(connection));
    connection.on('authentication', (context) => {
      if (context.method !== 'publickey' || !key.equals(context.key.data)) return context.reject(['publickey']);
      if (context.signature === undefined) return context.accept();
      const parsed = ssh2.utils.parseKey(allowed);
      if (parsed instanceof Error || parsed.verify(context.blob ?? '', context.signature) !== true)
        return context.reject(['publickey']);
      logins += 1;
      context.accept();
    });
    connection.on('session', (accept) => {
      accept().on('exec', (acceptExec, _reject, { command }) => run(command, acceptExec()));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, address, resolve));
  return {
    port: (server.address() as AddressInfo).port,
    logins: () => logins,
    close: () => {
      for (const connection of connections) connection.end();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
