import type { Redis } from 'ioredis';
import { unlessClosed } from '../core/redis.ts';
import { parseSentinelEvent, type SentinelEvent } from '../core/sentinel.ts';
import { nowMs } from './clock.ts';
import { type Fleet, fleetNodes } from './fleet.ts';

/** What a Sentinel published, or what a Redis was seen to be, at the time when the controller knew (ms). */
export interface Observation {
  readonly at: number;
  /** Who said it: a Sentinel; or the Redis that was asked. */
  readonly node: string;
  readonly event: SentinelEvent;
}

export interface Recorder {
  readonly observations: readonly Observation[];
  stop(): void;
}

/** How the failover went, each in ms from the fault, first seen anywhere; null for what was not seen. */
export interface Phases {
  /** A Sentinel suspects the primary (+sdown). */
  readonly detectedMs: number | null;
  /** The quorum agrees (+odown). */
  readonly agreedMs: number | null;
  /** A Sentinel is elected to lead the failover (+elected-leader). */
  readonly electedMs: number | null;
  /** A replica calls itself primary: clients may write there. */
  readonly promotedMs: number | null;
  /** Sentinel tells the new address (+switch-master). */
  readonly announcedMs: number | null;
  /** The new primary: its address, or its name where that is known. */
  readonly newPrimary: string | null;
}

const pollMs = 25;

/** The event's name for "this Redis now says that it is a primary", which no Sentinel publishes. */
export const rolePrimary = 'role:master';

/**
 * Listens to every Sentinel and asks every replica for its role, 40 times a second, until `stop`. Resolves when all subscriptions
 * stand; rejects when one Sentinel can't be subscribed to.
 */
export async function recordTimeline(fleet: Fleet, primary: string): Promise<Recorder> {
  const observations: Observation[] = [];
  const record = (node: string, event: SentinelEvent): void => {
    observations.push({ at: nowMs(), node, event });
  };
  const sentinels = fleetNodes(fleet, 'sentinel').map((node) => ({ node, client: fleet.openSentinel(node) }));
  const subscribe = async (name: string, client: Redis): Promise<void> => {
    client.on('pmessage', (_pattern: string, channel: string, message: string) =>
      record(name, parseSentinelEvent(channel, message)),
    );
    await client.psubscribe('*');
  };
  const stopped = new AbortController();
  const stop = (): void => {
    stopped.abort();
    for (const { client } of sentinels) client.disconnect();
  };
  try {
    await Promise.all(sentinels.map(({ node, client }) => subscribe(node.name, client)));
  } catch (error) {
    stop();
    throw error;
  }
  for (const node of fleetNodes(fleet, 'redis')) {
    if (node.name === primary) continue;
    const said = (): void => record(node.name, { ...noted, host: node.address, port: fleet.environment.redis.port });
    pollRole(fleet.redis(node), stopped.signal, said);
  }
  return { observations, stop };
}

const noted = { name: rolePrimary, kind: 'master', text: rolePrimary } as const;

/** Asks one at a time, again after `pollMs`; ends when it says primary, for that is told once. */
export async function pollRole(client: Redis, signal: AbortSignal, onPrimary: () => void): Promise<void> {
  while (!signal.aborted) {
    const role = await unlessClosed(client, (each) => each.role()).catch(() => undefined);
    if (signal.aborted) return;
    if (Array.isArray(role) && role[0] === 'master') return onPrimary();
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** The phases of the failover of the Redis at `address` that began at `faultAt`. Pure. */
export function phasesOf(observations: readonly Observation[], faultAt: number, address: string): Phases {
  const after = observations.filter((each) => each.at >= faultAt);
  const first = (matches: (event: SentinelEvent) => boolean): Observation | undefined =>
    after.filter((each) => matches(each.event)).sort((a, b) => a.at - b.at)[0];
  const since = (seen: Observation | undefined): number | null => (seen === undefined ? null : seen.at - faultAt);
  const ofPrimary = (name: string) =>
    first((event) => event.name === name && event.kind === 'master' && event.host === address);
  const switched = first((event) => event.name === '+switch-master');
  const promoted = first((event) => event.name === rolePrimary || event.name === '+promoted-slave');
  return {
    detectedMs: since(ofPrimary('+sdown')),
    agreedMs: since(ofPrimary('+odown')),
    electedMs: since(ofPrimary('+elected-leader')),
    promotedMs: since(promoted),
    announcedMs: since(switched),
    newPrimary: switched?.event.host ?? promoted?.event.host ?? null,
  };
}
