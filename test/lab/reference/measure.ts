import { sleep, until } from '../../../actions/core/deadline.ts';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { parseRedis } from '../../../actions/core/redis.ts';
import { isoTime, nowMs } from '../../../actions/drill/clock.ts';
import { type ReferenceClient, startClient, type Write } from './client.ts';
import type { Reference } from './deployment.ts';
import { sentinelPort } from './settings.ts';

/** What is done to the reference's primary: the same as in our scenario of that name. */
export const referenceFaults = {
  'redis-primary-kill': 'kill',
  'redis-primary-hang': 'hang',
  'redis-primary-partition': 'cut',
} as const;
export type Compared = keyof typeof referenceFaults;

/** One run, a line of out/reference.jsonl. */
export interface ReferenceRun {
  readonly version: 1;
  readonly at: string;
  readonly scenario: Compared;
  /** From the fault to the first acknowledged write that lasted, after the longest time without one; null: none came (ms). */
  readonly backMs: number | null;
  /** How long the client was watched after the fault (ms). */
  readonly watchedMs: number;
  readonly writes: number;
  readonly failed: number;
  readonly acknowledged: number;
  /** Acknowledged, and not there in the end. */
  readonly lost: number;
}

/** Who is not back by then is said not to have come back. */
export const patienceMs = 40_000;
const warmupMs = 2000;
const calmMs = 3000;
const writeTimeoutMs = 5000;
const writesPerS = 100;
const convergeTimeoutMs = 30_000;

/** Breaks the reference's primary under its client's writes, waits, mends, and reads back what was acknowledged. */
export async function measureReference(
  reference: Reference,
  scenario: Compared,
  signal: AbortSignal,
): Promise<ReferenceRun> {
  const { sentinels, password } = reference;
  const addresses = sentinels.map(({ address }) => ({ host: address, port: sentinelPort }));
  const client = startClient({ sentinels: addresses, password, writesPerS, timeoutMs: writeTimeoutMs });
  try {
    await sleep(warmupMs, signal);
    const served = client.writes.filter((write) => write.acknowledged).length;
    if (served < writesPerS) throw new FiredrillError({ code: 'gate', what: `the reference served ${served} writes` });
    const at = isoTime(nowMs());
    const faultAt = await breakPrimary(reference, scenario);
    await watch(reference, client, faultAt, signal);
    const watchedMs = nowMs() - faultAt;
    await client.stop();
    if (scenario !== 'redis-primary-kill') await mend(reference, signal);
    const lasting = await lastingKeys(reference, client.writes);
    const acknowledged = client.writes.filter((write) => write.acknowledged);
    return {
      ...{ version: 1, at, scenario },
      backMs: backMs(client.writes, lasting, faultAt, faultAt + watchedMs),
      watchedMs: Math.round(watchedMs),
      writes: client.writes.length,
      failed: client.writes.length - acknowledged.length,
      acknowledged: acknowledged.length,
      lost: acknowledged.filter((write) => !lasting.has(write.key)).length,
    };
  } finally {
    await client.stop();
  }
}

/**
 * When writes that last came again, from the fault: the end of the longest time without one. 0 when that was no longer than 100 ms;
 * null when it lasted to the end of the watch. Pure.
 */
export function backMs(
  writes: readonly Write[],
  lasting: ReadonlySet<string>,
  faultAt: number,
  until: number,
): number | null {
  const ends = writes
    .filter((write) => write.acknowledged && lasting.has(write.key) && write.endedAt > faultAt && write.endedAt < until)
    .map((write) => write.endedAt)
    .sort((a, b) => a - b);
  let longest = { gapMs: 100, end: faultAt };
  for (const [index, end] of [...ends, until].entries()) {
    const gapMs = end - (ends[index - 1] ?? faultAt);
    if (gapMs > longest.gapMs) longest = { gapMs, end };
  }
  return longest.end === until ? null : Math.round(longest.end - faultAt);
}

/** Gives the moment of the fault: when its node said "now". Half a round trip late, in the reference's favour. */
async function breakPrimary({ call, primary, redis, sentinels }: Reference, scenario: Compared): Promise<number> {
  let faultAt: number | undefined;
  const heard = (line: string): void => {
    if (line === 'now') faultAt ??= nowMs();
  };
  const peers = [...redis, ...sentinels].map(({ address }) => address).filter((each) => each !== primary.address);
  const fault = referenceFaults[scenario];
  const undoneAfterS = patienceMs / 1000 + 20;
  await call(primary, fault === 'cut' ? [fault, String(undoneAfterS), ...peers] : [fault], heard);
  if (faultAt === undefined) throw new FiredrillError({ code: 'bug', what: 'node.sh did not say when' });
  return faultAt;
}

/** Until the client's writes last again and have done so for a while, or nobody would wait any longer. */
async function watch(
  reference: Reference,
  client: ReferenceClient,
  faultAt: number,
  signal: AbortSignal,
): Promise<void> {
  while (nowMs() - faultAt < patienceMs) {
    await sleep(1000, signal);
    const last = client.writes.findLast((write) => write.acknowledged && write.intendedAt > faultAt);
    const announced = await reference.announced();
    if (last === undefined || announced === undefined || announced === reference.primary.address) continue;
    if (!(await present(reference, announced, [last.key])).has(last.key)) continue;
    await sleep(calmMs, signal);
    return;
  }
}

/** Undoes the fault and waits until all follow one primary: until then an old one may still show what it will throw away. */
async function mend(reference: Reference, signal: AbortSignal): Promise<void> {
  await reference.call(reference.primary, ['mend']);
  const demoted = async (): Promise<true | undefined> => {
    const client = reference.open(reference.primary.address);
    try {
      return parseRedis(await client.info('replication')).follows?.linkUp === true ? true : undefined;
    } finally {
      client.disconnect();
    }
  };
  const what = "the reference's old primary to follow the new one";
  await until(demoted, { timeoutMs: convergeTimeoutMs, intervalMs: 500, what, signal });
}

/** The acknowledged keys that the primary has which the Sentinels tell. */
async function lastingKeys(reference: Reference, writes: readonly Write[]): Promise<Set<string>> {
  const announced = await reference.announced();
  if (announced === undefined)
    throw new FiredrillError({ code: 'remote', what: "no Sentinel of the reference's answers" });
  const keys = writes.filter((write) => write.acknowledged).map((write) => write.key);
  return await present(reference, announced, keys);
}

async function present({ open }: Reference, address: string, keys: readonly string[]): Promise<Set<string>> {
  const client = open(address);
  try {
    const values = keys.length === 0 ? [] : await client.mget(...keys);
    return new Set(keys.filter((key, index) => values[index] === key));
  } finally {
    client.disconnect();
  }
}
