import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { serverCpu, startPinned } from './programs.ts';

export const held = 4000;
const atOnce = 100;

/** Bytes of the server's private memory for a connection that had one answer and waits: 4,000 of them, in a process of its own. */
export async function measureIdle(argv: readonly string[], port: number, path: string): Promise<number> {
  const server = await startPinned(serverCpu, argv, port);
  const sockets: Socket[] = [];
  try {
    // What the first connection brings to memory for all of them is not theirs.
    sockets.push(await answered(port, path));
    const before = privateBytes(readFileSync(`/proc/${server.pid}/smaps_rollup`, 'utf8'));
    while (sockets.length <= held)
      sockets.push(...(await Promise.all(Array.from({ length: atOnce }, () => answered(port, path)))));
    await sleep(200);
    const after = privateBytes(readFileSync(`/proc/${server.pid}/smaps_rollup`, 'utf8'));
    if (sockets.some((socket) => socket.destroyed))
      throw new Error(`${argv[0]} closed connections that were to be held`);
    return (after - before) / (sockets.length - 1);
  } finally {
    for (const socket of sockets) socket.resetAndDestroy();
    server.signal('SIGKILL');
    await server.ended;
  }
}

/** Private_Clean and Private_Dirty of /proc/PID/smaps_rollup, in bytes. */
export function privateBytes(smaps: string): number {
  const lines = [...smaps.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)];
  if (lines.length !== 2) throw new Error(`no private memory in:\n${smaps}`);
  return lines.reduce((sum, line) => sum + Number(line[1]) * 1024, 0);
}

/** A connection on which one request was answered. */
function answered(port: number, path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`port ${port} closed a connection`)));
    socket.once('data', () => {
      socket.on('data', () => {}).on('error', () => {});
      resolve(socket);
    });
    socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`);
  });
}
