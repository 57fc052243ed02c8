import { nodeNamed } from '../core/environment/nodes.ts';
import { asFiredrillError, FiredrillError, messageOf } from '../core/errors.ts';
import { type Fleet, nodeAt } from './fleet.ts';
import type { FinalState } from './verdict/ledger.ts';

const parallel = 16;
const perCommand = 200;
const attempts = 3;
/** The service stores a session as this many characters of ETag and then the value. */
const etagLength = 16;

/** What became of the acknowledged keys, or why nobody can tell. */
export type ReadBack =
  | { readonly throughBalancer: FinalState; readonly atPrimary: FinalState }
  | { readonly unread: string };

/** Both views of all keys. Does not throw: what was measured before still counts. */
export async function readBack(fleet: Fleet, primary: string, keys: readonly string[]): Promise<ReadBack> {
  try {
    const throughBalancer = await readThroughBalancer(fleet.publicUrl, keys);
    return { throughBalancer, atPrimary: await readAtPrimary(fleet, primary, keys) };
  } catch (error) {
    return { unread: messageOf(error) };
  }
}

/** The value of each key as a client sees it. Throws when a key can't be read three times in a row: then nothing is proved. */
async function readThroughBalancer(publicUrl: string, keys: readonly string[]): Promise<FinalState> {
  const final = new Map<string, string | null>();
  const queue = [...keys];
  const reader = async (): Promise<void> => {
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) final.set(key, await readKey(publicUrl, key));
  };
  await Promise.all(Array.from({ length: parallel }, reader));
  return final;
}

async function readKey(publicUrl: string, key: string): Promise<string | null> {
  for (let tried = 1; ; tried += 1) {
    try {
      const response = await fetch(`${publicUrl}/v1/sessions/${key}`, { signal: AbortSignal.timeout(5000) });
      const body = await response.text();
      if (response.status === 200) return body;
      if (response.status === 404) return null;
      throw new FiredrillError({ code: 'remote', where: key, what: `the load balancer answers ${response.status}` });
    } catch (error) {
      if (tried === attempts) throw asFiredrillError(error, { code: 'remote', phase: 'read back', where: key });
    }
  }
}

/** The value of each key as the primary itself holds it, past the service and the load balancer. */
async function readAtPrimary(fleet: Fleet, primary: string, keys: readonly string[]): Promise<FinalState> {
  const redis = fleet.redis(nodeAt(fleet, nodeNamed(fleet.environment, primary).address));
  const final = new Map<string, string | null>();
  for (const some of chunks(keys)) {
    const values = await redis.mget(some.map(redisKey));
    for (const [index, key] of some.entries()) final.set(key, values[index]?.slice(etagLength) ?? null);
  }
  return final;
}

/** Takes the probe's keys away; what is missed expires by itself. */
export async function removeKeys(fleet: Fleet, primary: string, keys: readonly string[]): Promise<void> {
  const redis = fleet.redis(nodeAt(fleet, nodeNamed(fleet.environment, primary).address));
  for (const some of chunks(keys)) await redis.unlink(...some.map(redisKey));
}

function redisKey(key: string): string {
  return `session:${key}`;
}

function chunks(keys: readonly string[]): string[][] {
  return Array.from({ length: Math.ceil(keys.length / perCommand) }, (_, index) =>
    keys.slice(index * perCommand, (index + 1) * perCommand),
  );
}
