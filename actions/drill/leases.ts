import { randomBytes } from 'node:crypto';
import { sleep, until } from '../core/deadline.ts';
import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import { installScripts, runScript } from './node-script.ts';

/** While they are held, no deploy and no other drill works on any node. */
export interface Leases {
  /** Gives them up while a deploy of the drill's own is at work, and takes them again. Throws a FiredrillError (`lease`) when another run was quicker. */
  lend<T>(work: () => Promise<T>): Promise<T>;
  /** Takes all of them anew, from now on. Throws a FiredrillError (`lease`) when another run has one, or a node does not answer. */
  renew(): Promise<void>;
  /** Never throws: what can't be given back ends by itself. */
  release(): Promise<void>;
}

const timeoutMs = 20_000;
/** What a lease outlives the fault by: for a healing that takes its time, and a renewal that came late. */
const marginMs = 10_000;

/**
 * How long the lease of a drill that died holds. The fault may have been armed just before the next renewal was due, and a deploy
 * must not begin before the node has undone it.
 */
export function leaseTimes({ rollout, drill }: Environment): { readonly forMs: number; readonly renewMs: number } {
  const renewMs = rollout.leaseMs / 3;
  return { forMs: Math.max(rollout.leaseMs, Math.ceil(drill.healAfterMs + renewMs + marginMs)), renewMs };
}

/**
 * Puts the scripts on every node and takes its lease, renewed until `release`. Waits as long as a dead run's lease holds; throws a
 * FiredrillError (`lease`) when a node's holder lives on.
 */
export async function holdLeases(fleet: Fleet, log: Log): Promise<Leases> {
  const run = `drill-${randomBytes(4).toString('hex')}`;
  const { forMs, renewMs } = leaseTimes(fleet.environment);
  const take = (node: FleetNode) => runScript(node, 'lease.sh', ['take', run, String(forMs)], { timeoutMs });
  const drop = (node: FleetNode) => runScript(node, 'lease.sh', ['drop', run], { timeoutMs }).catch(() => {});
  const stop = new AbortController();
  let lent = false;
  const renewing = new Map<FleetNode, Promise<unknown> | undefined>();
  await Promise.all(fleet.nodes.map((node) => installScripts(node, timeoutMs)));
  const held = fleet.nodes.map((node) => {
    const taken = takeWhenFree(node, () => take(node), forMs, stop.signal);
    return { node, taken };
  });
  // In turn: on machines that share processors, all at once are a stall that clients notice, and that the drill takes for the fault's.
  const renewed = fleet.nodes.map(async (node, index) => {
    await sleep((renewMs * (index + 1)) / fleet.nodes.length, stop.signal);
    for (;;) {
      // A node that can't be reached meanwhile is perhaps the drill's own doing; the lease outlives some missed renewals.
      const renewal = lent ? undefined : take(node).catch(() => {});
      renewing.set(node, renewal);
      await renewal;
      await sleep(renewMs, stop.signal);
    }
  });
  const release = async (): Promise<void> => {
    stop.abort();
    // What is under way would take the lease again after it was given back.
    await Promise.allSettled([...renewed, ...held.map(({ taken }) => taken)]);
    await Promise.all(fleet.nodes.map(drop));
  };
  try {
    await Promise.all(held.map(({ taken }) => taken));
  } catch (error) {
    await release();
    throw error;
  }
  log.info(`${fleet.nodes.length} nodes are the drill's (${run})`);
  const lend = async <T>(work: () => Promise<T>): Promise<T> => {
    lent = true;
    await Promise.all(renewing.values());
    await Promise.all(fleet.nodes.map(drop));
    try {
      return await work();
    } finally {
      await Promise.all(fleet.nodes.map((node) => takeWhenFree(node, () => take(node), forMs, stop.signal)));
      lent = false;
    }
  };
  const renew = async (): Promise<void> => {
    await Promise.all(
      fleet.nodes.map((node) => take(node).catch((error: unknown) => Promise.reject(refused(node, error)))),
    );
  };
  return { lend, renew, release };
}

async function takeWhenFree(
  node: FleetNode,
  take: () => Promise<string>,
  forMs: number,
  signal: AbortSignal,
): Promise<void> {
  try {
    await until(take, { timeoutMs: forMs + 2000, intervalMs: 500, what: `the lease of ${node.name}`, signal });
  } catch (error) {
    throw refused(node, error);
  }
}

function refused(node: FleetNode, cause: unknown): FiredrillError {
  const fix = 'Drill when it is done: never two at once';
  return new FiredrillError({ code: 'lease', node: node.name, what: messageOf(cause), fix, cause });
}
