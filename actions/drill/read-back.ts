import { nodeNamed } from '../core/environment/nodes.ts';
import { asFiredrillError, FiredrillError, messageOf } from '../core/errors.ts';
import type { Operation } from '../core/history/operation.ts';
import { nowMs } from './clock.ts';
import { type Fleet, nodeAt } from './fleet.ts';
import type { Request } from './probe/history.ts';
import { etagOf } from './probe/send.ts';

const parallel = 16;
const perCommand = 200;
const attempts = 3;
/** The service stores a session as this many characters of ETag and then the value. */
const etagLength = 16;

/** Reads of all keys after everything was healed: through the load balancer, then at the primary itself. Or why nobody can tell. */
export type ReadBack = { readonly reads: readonly Operation[] } | { readonly unread: string };

/** The keys that a change was asked for: those that must be read back. Pure. */
export function changedKeys(history: readonly Request[]): string[] {
  const changes = history.filter((request) => request.op !== 'read' && request.outcome !== 'failed');
  return [...new Set(changes.map((request) => request.key))];
}

/** Both views of all keys. Does not throw: what was measured before still counts. */
export async function readBack(fleet: Fleet, primary: string, keys: readonly string[]): Promise<ReadBack> {
  try {
    const throughBalancer = await readThroughBalancer(fleet.publicUrl, keys);
    return { reads: [...throughBalancer, ...(await readAtPrimary(fleet, primary, keys))] };
  } catch (error) {
    return { unread: messageOf(error) };
  }
}

/** Each key as a client sees it. Throws when a key can't be read three times in a row: then nothing is proved. */
export async function readThroughBalancer(publicUrl: string, keys: readonly string[]): Promise<Operation[]> {
  const reads: Operation[] = [];
  const queue = [...keys];
  const reader = async (): Promise<void> => {
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) reads.push(await readKey(publicUrl, key));
  };
  await Promise.all(Array.from({ length: parallel }, reader));
  return reads;
}

async function readKey(publicUrl: string, key: string): Promise<Operation> {
  for (let tried = 1; ; tried += 1) {
    const invokedAt = nowMs();
    try {
      const response = await fetch(`${publicUrl}/v1/sessions/${key}`, { signal: AbortSignal.timeout(5000) });
      const body = await response.text();
      const etag = etagOf(response.headers.get('etag') ?? undefined);
      if (response.status === 200) return finalRead(key, invokedAt, body, etag);
      if (response.status === 404) return finalRead(key, invokedAt, null, null);
      throw new FiredrillError({ code: 'remote', where: key, what: `the load balancer answers ${response.status}` });
    } catch (error) {
      if (tried === attempts) throw asFiredrillError(error, { code: 'remote', phase: 'read back', where: key });
    }
  }
}

/** Each key as the primary itself holds it, past the service and the load balancer. */
async function readAtPrimary(fleet: Fleet, primary: string, keys: readonly string[]): Promise<Operation[]> {
  const redis = fleet.redis(nodeAt(fleet, nodeNamed(fleet.environment, primary).address));
  const reads: Operation[] = [];
  for (const some of chunks(keys)) {
    const invokedAt = nowMs();
    const stored = await redis.mget(some.map(redisKey));
    for (const [index, key] of some.entries()) {
      const text = stored[index] ?? null;
      const [etag, value] = text === null ? [null, null] : [text.slice(0, etagLength), text.slice(etagLength)];
      reads.push(finalRead(key, invokedAt, value, etag));
    }
  }
  return reads;
}

function finalRead(key: string, invokedAt: number, value: string | null, etag: string | null): Operation {
  const result = value === null ? 'absent' : 'done';
  const base = { process: -1, op: 'read', requestId: '', outcome: 'ok' } as const;
  return { ...base, key, value, etag, invokedAt, completedAt: nowMs(), result };
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
