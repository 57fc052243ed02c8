import { sleep } from '../core/deadline.ts';
import { FiredrillError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeFacts } from './facts.ts';
import { type Fleet, readFacts } from './fleet.ts';
import type { LeaseFacts } from './records.ts';
import { buildReleases, type ReleaseSources } from './release.ts';
import { type Reporter, runOnNode } from './remote.ts';
import type { Engine } from './state.ts';

export interface LeaseWait {
  readonly sources: ReleaseSources;
  readonly fleet: Fleet;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** By performance.now(): a lease that is held still, or again, ends the waiting then. */
  readonly deadline: number;
}

interface Held {
  readonly node: string;
  readonly lease: LeaseFacts;
}

/**
 * Whether nodes that are due, or wait for a confirmation, were leased and have become free meanwhile, so that everything is to be looked at anew. A dead run's lease
 * ends by itself. Throws a FiredrillError (`lease`) when the run that holds one shows that it lives, by renewing it, and when the
 * deadline has passed.
 */
export async function waitForLeases(
  facts: ReadonlyMap<string, NodeFacts>,
  due: readonly string[],
  wait: LeaseWait,
): Promise<boolean> {
  const held = [...facts.values()].flatMap(({ node, lease, pending }): Held[] =>
    lease !== undefined && (due.includes(node) || pending !== undefined) ? [{ node, lease }] : [],
  );
  const first = held[0];
  if (first === undefined) return false;
  const { lease } = first;
  if (performance.now() > wait.deadline) throw taken(first, 'has its lease still, after all the time that one lasts');
  wait.log.info(
    `${held.map((each) => each.node).join(', ')}: held by run ${lease.run} (${lease.who}); its lease ends in ${(lease.leftMs / 1000).toFixed(0)} s unless it lives`,
  );
  const ends = performance.now() + Math.max(...held.map((each) => each.lease.leftMs));
  const until = Math.min(ends + 500, wait.deadline + 1);
  while (performance.now() < until) {
    await sleep(Math.min(2000, Math.max(100, until - performance.now())), wait.signal);
    const now = await Promise.all(held.map((each) => leaseOf(each.node, wait)));
    if (now.every((each) => each === undefined)) return true;
    const left = now[0]?.leftMs ?? 0;
    if (left > ends - performance.now() + 1000)
      throw taken(first, `has been at work on this node for ${(lease.heldMs / 1000).toFixed(0)} s and is alive`);
  }
  return true;
}

function taken({ node, lease }: Held, what: string): FiredrillError {
  return new FiredrillError({
    code: 'lease',
    node,
    what: `run ${lease.run} (${lease.who}) ${what}`,
    fix: 'Wait for it, then run again',
  });
}

async function leaseOf(node: string, { sources, fleet }: LeaseWait): Promise<LeaseFacts | undefined> {
  const member = fleet.get(node);
  const release = buildReleases(sources).find((each) => each.node === node);
  return member === undefined || release === undefined
    ? undefined
    : (await readFacts(sources.environment, member, release)).lease;
}

/** Keeps the leases of these nodes while `work` runs. A node that could not renew refuses the next command by itself. */
export async function keepingLeases<T>(
  engine: Pick<Engine, 'run' | 'fleet' | 'reporter'>,
  nodes: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const { run, fleet } = engine;
  const stop = new AbortController();
  const words = ['renew', String(run.generation), String(run.leaseMs), run.who];
  const silent: Reporter = { ...engine.reporter, log: { ...engine.reporter.log, info: () => {} }, onPhase: () => {} };
  const renewing = (async () => {
    while (!stop.signal.aborted) {
      await sleep(run.leaseMs / 3, stop.signal);
      const members = nodes.flatMap((name) => fleet.get(name) ?? []);
      await Promise.allSettled(members.map((each) => runOnNode(each, run, { words, timeoutMs: 10_000 }, silent)));
    }
  })().catch(() => {});
  try {
    return await work();
  } finally {
    stop.abort();
    await renewing;
  }
}
