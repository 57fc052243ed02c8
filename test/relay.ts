import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { sleep } from '../actions/core/deadline.ts';

/** A distance between a client and a server on this machine. */
export interface Relay {
  readonly port: number;
  /**
   * Round trips that clients waited for so far: answers that came when they could have come to what a client sent, and one for each
   * connection's opening, which has none here. What a server sends of itself, long after the client last spoke, counts too.
   */
  trips(): number;
  /** The same once nothing has passed for two round trips. */
  settled(): Promise<number>;
  close(): void;
}

/** Passes what comes to its port on to `port` of `host`, each way `oneWayMs` later. */
export async function relay(port: number, host = '127.0.0.1', oneWayMs = 50): Promise<Relay> {
  const sockets = new Set<Socket>();
  let trips = 0;
  let lastMs = performance.now();

  const server = createServer({ noDelay: true }, async (client) => {
    trips += 1;
    sockets.add(client);
    client.on('error', () => {});
    let sentMs: number | undefined;
    const far = sleep(oneWayMs).then(() => {
      const socket = dial({ port, host, noDelay: true });
      sockets.add(socket);
      socket.on('error', () => client.destroy());
      socket.on('data', (data) => later(() => deliver(data)));
      socket.on('close', () => later(() => client.destroy()));
      return socket;
    });
    const deliver = (data: Buffer): void => {
      if (sentMs !== undefined && performance.now() - sentMs >= 2 * oneWayMs) {
        trips += 1;
        sentMs = undefined;
      }
      client.write(data);
    };
    client.on('data', (data) => {
      sentMs ??= performance.now();
      later(() => void far.then((socket) => socket.write(data)));
    });
    client.on('close', () => void far.then((socket) => socket.destroy()));
  });

  function later(work: () => void): void {
    lastMs = performance.now();
    setTimeout(work, oneWayMs);
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    trips: () => trips,
    async settled() {
      while (performance.now() - lastMs < 4 * oneWayMs) await sleep(oneWayMs);
      return trips;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
