import { randomBytes } from 'node:crypto';
import { until } from '../core/deadline.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import { installScripts, runScript } from './node-script.ts';

/** While they are held, no deploy and no other drill works on any node. */
export interface Leases {
  /** Never throws: what can't be given back ends by itself. */
  release(): Promise<void>;
}

const timeoutMs = 20_000;

/**
 * Puts the scripts on every node and takes its lease, renewed until `release`. Waits as long as a dead run's lease holds; throws a
 * FiredrillError (`lease`) when a node's holder lives on.
 */
export async function holdLeases(fleet: Fleet, log: Log): Promise<Leases> {
  const run = `drill-${randomBytes(4).toString('hex')}`;
  const { leaseMs } = fleet.environment.rollout;
  const take = (node: FleetNode) => runScript(node, 'lease.sh', ['take', run, String(leaseMs)], { timeoutMs });
  const drop = (node: FleetNode) => runScript(node, 'lease.sh', ['drop', run], { timeoutMs }).catch(() => {});
  const release = async (): Promise<void> => {
    clearInterval(timer);
    await Promise.all(fleet.nodes.map(drop));
  };
  await Promise.all(fleet.nodes.map((node) => installScripts(node, timeoutMs)));
  // A node that can't be reached meanwhile is perhaps the drill's own doing; the lease outlives some missed renewals.
  const renew = () => Promise.all(fleet.nodes.map((node) => take(node).catch(() => {})));
  const timer = setInterval(renew, leaseMs / 3);
  try {
    await Promise.all(fleet.nodes.map((node) => takeWhenFree(node, () => take(node), leaseMs)));
  } catch (error) {
    await release();
    throw error;
  }
  log.info(`${fleet.nodes.length} nodes are the drill's (${run})`);
  return { release };
}

async function takeWhenFree(node: FleetNode, take: () => Promise<string>, leaseMs: number): Promise<void> {
  try {
    await until(take, { timeoutMs: leaseMs + 5000, intervalMs: 1000, what: `the lease of ${node.name}` });
  } catch (error) {
    throw new FiredrillError({
      code: 'lease',
      node: node.name,
      what: messageOf(error),
      fix: 'Drill when it is done: never two at once',
      cause: error,
    });
  }
}
