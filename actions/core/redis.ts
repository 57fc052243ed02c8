import { Duplex } from 'node:stream';
import { Redis } from 'ioredis';
import { asFiredrillError } from './errors.ts';
import type { Secret } from './secret.ts';
import type { Ssh } from './ssh.ts';

/** Where a Redis or a Sentinel listens, and the way there: its own node, through ssh, since it binds a private address. */
export interface RedisAddress {
  readonly ssh: Pick<Ssh, 'node' | 'forward'>;
  readonly host: string;
  readonly port: number;
  readonly password: Secret;
  /** For one command, waiting for the connection included. */
  readonly commandTimeoutMs: number;
}

/** What a Redis says about itself in INFO replication (and, with them, of its loading). */
export interface RedisFacts {
  readonly role: 'primary' | 'replica';
  readonly loading: boolean;
  /** Bytes of the replication stream: written (primary) or applied (replica). */
  readonly offset: number;
  /** Grows while it reads its data, from disk or from the primary; undefined when it does not. */
  readonly readBytes: number | undefined;
  /** Of a replica: whom it follows. */
  readonly follows: { readonly address: string; readonly linkUp: boolean } | undefined;
  /** Of a primary: who follows it. */
  readonly replicas: readonly {
    readonly address: string;
    readonly online: boolean;
    readonly offset: number;
    readonly lagS: number;
  }[];
}

/**
 * A client that connects at its first command, reconnects by itself and never sends a command twice. A command that gets no answer
 * within the time-out fails and takes the connection with it: a time-out alone would leave a half-open one in use.
 * The caller ends it with `disconnect()`.
 */
export function openRedis(address: RedisAddress): Redis {
  const client = new Redis({
    Connector: tunnelConnector(address),
    host: address.host,
    port: address.port,
    password: address.password.reveal(),
    protocol: 2,
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: 10_000,
    commandTimeout: address.commandTimeoutMs,
    socketTimeout: address.commandTimeoutMs,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false, // it drops its own promise: a link that breaks again at that moment would end the program
    maxRetriesPerRequest: 20,
    retryStrategy: (times) => Math.min(times * 50, 500),
  });
  client.on('error', () => {}); // each command that it broke rejects with it
  return client;
}

/**
 * What `ask` gives, or a rejection as soon as the client's connection closes. ioredis, told not to send a command again, would let it
 * wait for its time-out; and a promotion closes the very connection that is asked whether it has happened.
 */
export function unlessClosed<T>(client: Redis, ask: (client: Redis) => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const closed = (): void => reject(new Error('the connection closed before the answer'));
    client.once('close', closed);
    ask(client)
      .then(resolve, reject)
      .finally(() => client.off('close', closed));
  });
}

/** Throws what the connection throws: a caller that polls treats it as "no answer". */
export async function readRedis(client: Redis): Promise<RedisFacts> {
  return parseRedis(await client.info('replication'));
}

/** INFO persistence and replication as facts. Pure. */
export function parseRedis(info: string): RedisFacts {
  const fields = parseInfo(info);
  const replica = fields.get('role') === 'slave';
  const reading = fields.get('loading_loaded_bytes') ?? fields.get('master_sync_read_bytes');
  const replicas = [...fields].filter(([key]) => /^slave\d+$/.test(key)).map(([, value]) => parseReplica(value));
  return {
    role: replica ? 'replica' : 'primary',
    loading: fields.get('loading') === '1',
    offset: Number(fields.get(replica ? 'slave_repl_offset' : 'master_repl_offset') ?? 0),
    readBytes: reading === undefined ? undefined : Number(reading),
    follows: replica
      ? { address: fields.get('master_host') ?? '', linkUp: fields.get('master_link_status') === 'up' }
      : undefined,
    replicas,
  };
}

/** `ip=10.0.0.12,port=6379,state=online,offset=1,lag=0` */
function parseReplica(value: string): RedisFacts['replicas'][number] {
  const fields = new Map(value.split(',').map((field) => field.split('=', 2) as [string, string]));
  return {
    address: fields.get('ip') ?? '',
    online: fields.get('state') === 'online',
    offset: Number(fields.get('offset') ?? 0),
    lagS: Number(fields.get('lag') ?? -1),
  };
}

/** The `key:value` lines of INFO. */
function parseInfo(info: string): Map<string, string> {
  const lines = info.split(/\r?\n/).filter((line) => line.includes(':'));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]));
}

/** The class that ioredis wants: `connect` gives a stream. It must not reject, or ioredis gives up for good instead of trying again. */
function tunnelConnector(address: RedisAddress) {
  return class {
    connecting = false;
    firstError: Error | undefined;
    stream: Duplex | undefined;

    check(): boolean {
      return true;
    }

    async connect(): Promise<never> {
      this.connecting = true;
      try {
        this.stream = await address.ssh.forward(address.host, address.port, address.commandTimeoutMs);
        // What ioredis calls on a socket and an ssh channel doesn't have; the ssh connection has its own keep-alive.
        Object.assign(this.stream, { setKeepAlive: () => {}, setNoDelay: () => {} });
        // A channel whose far end has closed stays half open: Redis is gone, and a command sent now would wait for its time-out.
        const { stream } = this;
        stream.once('end', () => stream.destroy());
        if (!this.connecting) this.stream.destroy();
      } catch (error) {
        this.firstError = asFiredrillError(error, { code: 'remote', node: address.ssh.node });
        this.stream = Object.assign(new Duplex().destroy(), { setKeepAlive: () => {}, setNoDelay: () => {} });
      }
      return this.stream as never; // ioredis' type says Socket; it uses the stream's part
    }

    disconnect(): void {
      this.connecting = false;
      this.stream?.destroy();
    }
  } as never;
}
