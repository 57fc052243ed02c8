import { sleep } from '../core/deadline.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';

/** The part of a Redis or Sentinel client that a handover needs. */
export interface Caller {
  call(command: string, ...words: string[]): Promise<unknown>;
}

export interface HandoverNode {
  readonly name: string;
  readonly address: string;
  readonly redis: Caller;
}

export interface HandoverOptions {
  readonly primary: HandoverNode;
  readonly replicas: readonly HandoverNode[];
  /** Any one that is well. */
  readonly sentinel: Caller;
  readonly masterName: string;
  readonly port: number;
  readonly timeoutMs: number;
  readonly pollMs: number;
}

export interface Handover {
  readonly to: string;
  /** How long writes were held back. */
  readonly pausedMs: number;
  /** Until the replicas had everything. */
  readonly caughtUpMs: number;
  readonly promotedMs: number;
}

/**
 * Makes a replica the primary without losing an acknowledged write. SENTINEL FAILOVER alone leaves the old primary accepting writes for
 * seconds, all of them lost; so its writes are paused first, every replica gets what was written, and the old primary becomes a replica
 * the moment that another one is promoted. The pause ends by itself after `timeoutMs` if we die. When a step overruns, writes go on
 * where they were and a FiredrillError (`gate`) says which step it was.
 */
export async function handOver(options: HandoverOptions): Promise<Handover> {
  const { primary, replicas } = options;
  const begun = performance.now();
  await primary.redis.call('CLIENT', 'PAUSE', String(options.timeoutMs), 'WRITE');
  let asked = false;
  try {
    // Sentinel chooses the replica, by what it knew some seconds ago: so each that it may choose has to have everything.
    await allCaughtUp(options, begun);
    const caughtUpMs = performance.now() - begun;
    asked = true;
    await options.sentinel.call('SENTINEL', 'FAILOVER', options.masterName);
    const promoted = await whoIsPromoted(options, begun);
    const promotedMs = performance.now() - begun;
    await follow(primary, promoted, options.port);
    await primary.redis.call('CLIENT', 'UNPAUSE');
    const pausedMs = performance.now() - begun;
    // Sentinel does this too, some 0.8 s later; until then the new primary has one replica less to acknowledge its writes.
    await Promise.all(
      replicas.filter((each) => each !== promoted).map((each) => follow(each, promoted, options.port).catch(() => {})),
    );
    return { to: promoted.name, pausedMs, caughtUpMs, promotedMs };
  } catch (error) {
    await undo(options, asked);
    throw error;
  }
}

async function allCaughtUp(options: HandoverOptions, begun: number): Promise<void> {
  const target = Number(replyAt(await options.primary.redis.call('ROLE'), 1));
  await poll(options, begun, 'every replica to have what the primary wrote', async () => {
    const roles = await Promise.all(options.replicas.map((replica) => replica.redis.call('ROLE')));
    const behind = options.replicas.find((_, index) => !(Number(replyAt(roles[index], 4)) >= target));
    return behind === undefined ? true : undefined;
  });
}

async function whoIsPromoted(options: HandoverOptions, begun: number): Promise<HandoverNode> {
  return await poll(options, begun, 'a replica to be promoted', async () => {
    // The promotion kills the connections of the one promoted: a question that gets no answer is asked again.
    const roles = await Promise.all(
      options.replicas.map((replica) => replica.redis.call('ROLE').catch(() => undefined)),
    );
    return options.replicas.find((_, index) => replyAt(roles[index], 0) === 'master');
  });
}

/** CONFIG REWRITE, so that a restart right after does not bring the old role back. */
async function follow(node: HandoverNode, primary: HandoverNode, port: number): Promise<void> {
  await node.redis.call('REPLICAOF', primary.address, String(port));
  await node.redis.call('CONFIG', 'REWRITE');
}

/**
 * Writes go on where it is safe. Once Sentinel was asked it may still promote a replica: then the old primary has to follow it, and
 * letting it write meanwhile would lose what it acknowledges. So it stays paused until Sentinel has given the attempt up.
 */
async function undo(options: HandoverOptions, asked: boolean): Promise<void> {
  const { primary } = options;
  const deadline = performance.now() + options.timeoutMs * 2;
  while (asked && performance.now() < deadline) {
    // First whether it goes on, then who is promoted: the other way round a promotion in between would be overlooked.
    const flags = await options.sentinel.call('SENTINEL', 'MASTER', options.masterName).then(flagsOf, () => undefined);
    const promoted = await findPromoted(options);
    if (promoted !== undefined) {
      await follow(primary, promoted, options.port).catch(() => {});
      break;
    }
    if (flags !== undefined && !flags.includes('failover_in_progress')) break;
    await primary.redis.call('CLIENT', 'PAUSE', String(options.timeoutMs), 'WRITE').catch(() => {});
    await sleep(200);
  }
  await primary.redis.call('CLIENT', 'UNPAUSE').catch(() => {});
}

async function findPromoted(options: HandoverOptions): Promise<HandoverNode | undefined> {
  const roles = await Promise.all(options.replicas.map((replica) => replica.redis.call('ROLE').catch(() => undefined)));
  return options.replicas.find((_, index) => replyAt(roles[index], 0) === 'master');
}

async function poll<T>(
  options: HandoverOptions,
  begun: number,
  what: string,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  for (let last = ''; ; ) {
    const value = await probe().catch((error: unknown) => {
      last = `; last answer: ${messageOf(error)}`;
      return undefined;
    });
    if (value !== undefined) return value;
    const passed = performance.now() - begun;
    // A little before the pause ends by itself, so that nothing is written while we undo.
    if (passed > options.timeoutMs * 0.8)
      throw new FiredrillError({
        code: 'gate',
        node: options.primary.name,
        phase: 'handover',
        what: `waited ${Math.round(passed)} ms for ${what}${last}`,
        fix: 'The old primary serves on; look at the replicas, then run again',
      });
    await sleep(options.pollMs);
  }
}

function replyAt(reply: unknown, index: number): unknown {
  return Array.isArray(reply) ? (reply as unknown[])[index] : undefined;
}

function flagsOf(reply: unknown): string {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return flat[flat.indexOf('flags') + 1] ?? '';
}
