import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { openRedis, unlessClosed } from '../../actions/core/redis.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { Fleet } from '../../actions/drill/fleet.ts';
import { pollRole, recordTimeline } from '../../actions/drill/timeline.ts';
import { labEnvironment } from './environment-fixture.ts';

const commandTimeoutMs = 5000;
const asPrimary = '*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n';

let server: Server;
let client: Redis;
/** What a ROLE on the first, the second ... connection gets; nothing: it is closed instead. */
let roles: (string | undefined)[];

/** Enough of a Redis: every command is answered by OK, but ROLE. */
function serve(socket: Socket): void {
  const role = roles.shift();
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    for (const [, word = ''] of chunk.toString().matchAll(/\*\d+\r\n\$\d+\r\n([a-z]+)/gi)) {
      if (word.toLowerCase() !== 'role') socket.write('+OK\r\n');
      else if (role === undefined) socket.end();
      else socket.write(role);
    }
  });
}

beforeEach(async () => {
  server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const forward = async () => {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  };
  const ssh = { node: 'redis-2', forward };
  client = openRedis({ ssh, host: '127.0.0.1', port, password: new Secret('p'), commandTimeoutMs });
});
afterEach(() => {
  client.disconnect();
  server.close();
});

describe('a question whose connection closes', () => {
  test('is rejected at once, and does not wait for its time-out', async () => {
    roles = [undefined];
    const begun = performance.now();
    await expect(unlessClosed(client, (each) => each.role())).rejects.toThrow('connection closed');
    expect(performance.now() - begun).toBeLessThan(commandTimeoutMs / 5);
    expect(client.listenerCount('close')).toBe(0);
  });

  test('does not hold up the news of the promotion that closed it', async () => {
    roles = [undefined, asPrimary];
    const begun = performance.now();
    let seenMs: number | undefined;
    const stop = new AbortController();
    await pollRole(client, stop.signal, (role) => {
      expect(role).toEqual({ primary: true });
      seenMs = performance.now() - begun;
      stop.abort();
    });
    expect(seenMs).toBeLessThan(commandTimeoutMs / 5);
  });
});

test('a Sentinel whose link breaks while it is subscribed to again is heard afterwards, and the drill lives on', async () => {
  const subscribed = '*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n';
  const tilt = '*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$5\r\n+tilt\r\n$7\r\n#tilt a\r\n';
  const sockets: Socket[] = [];
  let subscriptions = 0;
  const sentinel = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      if (!chunk.toString().toLowerCase().includes('psubscribe')) return void socket.write('+OK\r\n');
      subscriptions += 1;
      if (subscriptions === 2) socket.destroy();
      else socket.write(subscribed);
    });
  }).listen(0, '127.0.0.1');
  await once(sentinel, 'listening');
  const { port } = sentinel.address() as AddressInfo;
  const ssh = { node: 'sentinel-1', forward: async () => connect(port, '127.0.0.1') };
  const nodes = [{ name: 'sentinel-1' }];
  const openSentinel = () =>
    openRedis({ ssh, host: '127.0.0.1', port, password: new Secret('p'), commandTimeoutMs: 300 });
  const fleet = { environment: labEnvironment(), nodes, openSentinel } as unknown as Fleet;
  const recorder = await recordTimeline(fleet, 'redis-1');
  try {
    sockets[0]?.destroy();
    const again = async () => (subscriptions >= 3 ? true : undefined);
    await until(again, { timeoutMs: 5000, intervalMs: 20, what: 'the third subscription' });
    await sleep(400); // the second one has timed out
    sockets.at(-1)?.write(tilt);
    await until(async () => recorder.observations.at(0), { timeoutMs: 2000, intervalMs: 20, what: 'its word' });
    expect(recorder.observations[0]?.event.name).toBe('+tilt');
  } finally {
    recorder.stop();
    sentinel.close();
  }
});
