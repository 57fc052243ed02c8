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
  /** The last replica that was not broken is linked to the new primary. */
  readonly resyncedMs: number | null;
  /** The new primary, the last one if there were several: its address, or its name where that is known. */
  readonly newPrimary: string | null;
  /** How many primaries were announced, one after the other. */
  readonly failovers: number;
}

const pollMs = 25;

/** The event's name for "this Redis now says that it is a primary", which no Sentinel publishes. */
export const rolePrimary = 'role:master';
/** The same for "this Redis is linked to the primary at `host`". */
export const roleLinked = 'role:linked';

/**
 * Listens to every Sentinel and asks every Redis but the primary for its role, 40 times a second, until `stop`. Resolves when all
 * subscriptions stand; rejects when one Sentinel can't be subscribed to.
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
    // After a break. One that fails takes the connection with it, and the next one is ready in turn.
    client.on('ready', () => client.psubscribe('*').catch(() => {}));
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
  const { port } = fleet.environment.redis;
  for (const node of fleetNodes(fleet, 'redis')) {
    if (node.name === primary) continue;
    pollRole(fleet.redis(node), stopped.signal, (role) => {
      const name = role.primary ? rolePrimary : roleLinked;
      const host = role.primary ? node.address : role.follows;
      record(node.name, { name, kind: role.primary ? 'master' : 'slave', text: name, host, port });
    });
  }
  return { observations, stop };
}

/** What a Redis says that it is: a primary, or a replica that is linked to one. */
export type Role = { readonly primary: true } | { readonly primary: false; readonly follows: string };

/** Asks one at a time, again after `pollMs`, until the signal; tells every change. */
export async function pollRole(client: Redis, signal: AbortSignal, onChange: (role: Role) => void): Promise<void> {
  let last = '';
  while (!signal.aborted) {
    const answer = await unlessClosed(client, (each) => each.role()).catch(() => undefined);
    if (signal.aborted) return;
    const role = roleOf(answer);
    const text = JSON.stringify(role);
    if (role !== undefined && text !== last) onChange(role);
    if (answer !== undefined) last = text ?? '';
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

/** ROLE's answer; undefined for a replica without a link. */
function roleOf(answer: unknown): Role | undefined {
  if (!Array.isArray(answer)) return undefined;
  const [kind, host, , state] = answer as unknown[];
  if (kind === 'master') return { primary: true };
  return state === 'connected' ? { primary: false, follows: String(host) } : undefined;
}

/**
 * The phases of the failover of the Redis at `address` that began at `faultAt`. Pure.
 * @param survivors the names of the Redis nodes that nothing was done to
 */
export function phasesOf(
  observations: readonly Observation[],
  faultAt: number,
  address: string,
  survivors: readonly string[] = [],
): Phases {
  const after = observations.filter((each) => each.at >= faultAt).sort((a, b) => a.at - b.at);
  const first = (matches: (event: SentinelEvent) => boolean): Observation | undefined =>
    after.find((each) => matches(each.event));
  const since = (seen: Observation | undefined): number | null => (seen === undefined ? null : seen.at - faultAt);
  const ofPrimary = (name: string) =>
    first((event) => event.name === name && event.kind === 'master' && event.host === address);
  const announced = announcements(after);
  const promoted = first((event) => event.name === rolePrimary || event.name === '+promoted-slave');
  const newPrimary = announced.at(-1)?.event.host ?? promoted?.event.host ?? null;
  return {
    detectedMs: since(ofPrimary('+sdown')),
    agreedMs: since(ofPrimary('+odown')),
    electedMs: since(ofPrimary('+elected-leader')),
    promotedMs: since(promoted),
    announcedMs: since(announced[0]),
    resyncedMs: since(promoted === undefined ? undefined : resynced(after, newPrimary, survivors)),
    newPrimary,
    failovers: announced.length,
  };
}

/** The first word of each new primary; every Sentinel says it again. */
export function announcements(observations: readonly Observation[]): Observation[] {
  const switches = observations.filter(({ event }) => event.name === '+switch-master');
  return switches.filter((each, index) => switches.findIndex(({ event }) => event.host === each.event.host) === index);
}

function resynced(
  observations: readonly Observation[],
  primary: string | null,
  survivors: readonly string[],
): Observation | undefined {
  const became = observations.find(({ event }) => event.name === rolePrimary && event.host === primary)?.node;
  const links = survivors
    .filter((name) => name !== became)
    .map((name) =>
      observations.find(({ node, event }) => node === name && event.name === roleLinked && event.host === primary),
    );
  if (links.some((link) => link === undefined)) return undefined;
  return links.sort((a, b) => (a?.at ?? 0) - (b?.at ?? 0)).at(-1);
}
