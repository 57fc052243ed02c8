import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { redisClient, redisHosts } from './rig.ts';

export interface Writer {
  /** When each write was acknowledged (performance.now). */
  readonly acked: readonly { readonly key: string; readonly at: number }[];
  /** Ends it. */
  stop(): Promise<void>;
  /** Acknowledged writes that this Redis has not. */
  lostOn(host: string): Promise<string[]>;
}

let writers = 0;

/**
 * Writes one new key after another, each acknowledged when a replica has it, or as many as the primary had when it was connected
 * to (WAIT). Without an acknowledgement the same key is tried
 * again every millisecond, on the next Redis when this one is gone or no primary.
 */
export function startWriter(pauseMs = 1, held: 'by one' | 'by all' = 'by one'): Writer {
  const acked: { key: string; at: number }[] = [];
  const prefix = `w${++writers}`;
  let stopped = false;
  let host = 0;
  let client: Redis | undefined;
  let needed = 1;
  const write = async (key: string): Promise<boolean> => {
    try {
      if (client === undefined) {
        client = redisClient(redisHosts[host] ?? '', 1000);
        const replicas = held === 'by all' ? ((await client.call('ROLE')) as unknown[])[2] : undefined;
        needed = Array.isArray(replicas) ? Math.max(1, replicas.length) : 1;
      }
      await client.set(key, key);
      return Number(await client.call('WAIT', needed, 100)) >= needed;
    } catch (error) {
      if (!/NOREPLICAS|LOADING/.test(String(error))) {
        client?.disconnect();
        client = undefined;
        host = (host + 1) % redisHosts.length;
      } else if (/LOADING/.test(String(error))) host = (host + 1) % redisHosts.length;
      return false;
    }
  };
  const done = (async () => {
    for (let n = 0; !stopped; ) {
      const key = `${prefix}-${n}`;
      if (await write(key)) {
        acked.push({ key, at: performance.now() });
        n++;
      }
      await sleep(pauseMs);
    }
    client?.disconnect();
  })();
  return {
    acked,
    stop: async () => {
      stopped = true;
      await done;
    },
    lostOn: async (on) => {
      const reader = redisClient(on, 10_000);
      const lost: string[] = [];
      for (let from = 0; from < acked.length; from += 1000) {
        const keys = acked.slice(from, from + 1000).map((each) => each.key);
        const values = await reader.mget(keys);
        lost.push(...keys.filter((key, index) => values[index] !== key));
      }
      reader.disconnect();
      return lost;
    },
  };
}

/** The longest time between two acknowledgements (ms), of those after `from`. */
export function longestGap(acked: Writer['acked'], from: number): number {
  let longest = 0;
  for (let i = 1; i < acked.length; i++) {
    const [before, after] = [acked[i - 1]?.at ?? 0, acked[i]?.at ?? 0];
    if (after > from) longest = Math.max(longest, after - before);
  }
  return longest;
}
