import type { Socket } from 'node:net';
import { type Answer, command, openConnection } from './redis-client.ts';
import { masterName, redisHosts, redisPort, sentinelHosts, sentinelPort } from './settings.ts';

/** When the world changed, on performance.now()'s clock (ms); undefined until seen. */
export interface Marks {
  /** A replica said that it is the primary. */
  promotedAt?: number;
  /** Which. */
  promoted?: number;
  /** The promoted one had a replica again: from then on it takes writes, and they can be replicated. */
  linkedAt?: number;
  /** The first +switch-master of any Sentinel. */
  announcedAt?: number;
}

export interface Watch {
  readonly marks: Marks;
  /** Ends it. */
  stop(): void;
}

const pollMs = 2;

/** Asks every node in `replicas` for its ROLE every 2 ms, on connections of its own, and listens to all Sentinels. */
export function startWatch(replicas: readonly number[]): Watch {
  const marks: Marks = {};
  let stopped = false;
  const sockets = new Set<Socket>();

  const keep = (open: () => Socket): void => {
    if (stopped) return;
    const socket = open();
    sockets.add(socket);
    // A promotion closes the connections of the one promoted.
    socket.on('close', () => {
      sockets.delete(socket);
      setTimeout(() => keep(open), pollMs);
    });
  };
  for (const index of replicas) keep(() => pollRole(index, (role) => note(index, role)));
  for (const host of sentinelHosts) keep(() => listen(host));
  return {
    marks,
    stop() {
      stopped = true;
      for (const socket of sockets) socket.destroy();
    },
  };

  function note(index: number, role: Answer[]): void {
    if (role[0] !== 'master') return;
    const now = performance.now();
    if (marks.promotedAt === undefined) Object.assign(marks, { promotedAt: now, promoted: index });
    const linked = Array.isArray(role[2]) && role[2].length > 0;
    if (linked && marks.promoted === index) marks.linkedAt ??= now;
  }

  function listen(host: string): Socket {
    const socket = openConnection(host, sentinelPort, (message) => {
      if (Array.isArray(message) && message[0] === 'message' && String(message[2]).startsWith(`${masterName} `))
        marks.announcedAt ??= performance.now();
    });
    socket.write(command(['SUBSCRIBE', '+switch-master']));
    return socket;
  }
}

function pollRole(index: number, onRole: (role: Answer[]) => void): Socket {
  const question = command(['ROLE']);
  let signedIn = false;
  const socket = openConnection(redisHosts[index] ?? '', redisPort, (answer) => {
    if (!signedIn) signedIn = true;
    else if (Array.isArray(answer)) onRole(answer);
    setTimeout(() => socket.writable && socket.write(question), pollMs);
  });
  return socket;
}
