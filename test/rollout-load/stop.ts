import { randomBytes } from 'node:crypto';
import { sleep, until } from '../../actions/core/deadline.ts';
import { checkHistory } from '../../actions/core/history/check.ts';
import { readInventory } from '../../actions/core/inventory.ts';
import { linodeApi } from '../../actions/core/linode/api.ts';
import type { Fleet, FleetNode } from '../../actions/drill/fleet.ts';
import { lagOf, operationOf } from '../../actions/drill/probe/history.ts';
import { startProbe } from '../../actions/drill/probe/probe.ts';
import { changedKeys, readBack, removeKeys } from '../../actions/drill/read-back.ts';
import { proveSteady } from '../../actions/drill/steady/steady.ts';
import { mostFrequent } from '../bench/failures.ts';
import { drillFleet, secrets } from './fleet.ts';
import { stallMs } from './measure.ts';

/** How the primary goes, in order. */
export const ways = ['systemctl stop', 'reboot', 'shutdown by Linode'] as const;
export type Way = (typeof ways)[number];

/** One stop of the primary under load. */
export interface Stop {
  readonly way: Way;
  readonly requests: number;
  readonly failed: number;
  readonly failures: readonly string[];
  readonly acknowledged: number;
  /** Acknowledged writes that are gone, and answers that fit in no order. */
  readonly wrong: number;
  /** The longest that a client waited, without what the probe itself was late by. */
  readonly longestMs: number;
  /** The most that it was. */
  readonly lagMs: number;
}

const calmMs = 1000;
/** From the order on; by then it is down, or up again. */
const watchMs = 6000;

/** The primary goes that way and comes back, under requests through the load balancer. Throws when the fleet does not recover. */
export async function runStop(way: Way, requestsPerS: number): Promise<Stop> {
  const fleet = await drillFleet();
  try {
    const before = await proveSteady(fleet, 'before the stop');
    const node = fleet.nodes.find((each) => each.name === before.primary);
    if (node === undefined) throw new Error('no primary');
    const { requestTimeoutMs } = fleet.environment.drill;
    const load = { url: fleet.publicUrl, run: randomBytes(4).toString('hex'), requestsPerS, requestTimeoutMs };
    const probe = await startProbe(load);
    await sleep(calmMs);
    await orders[way](fleet, node);
    await sleep(watchMs);
    await comesBack[way](fleet, node);
    await sleep(calmMs);
    await probe.stop();
    const { primary } = await proveSteady(fleet, 'after the stop');
    if (primary === node.name) throw new Error(`${node.name} is primary still, or again`);
    const keys = changedKeys(probe.history);
    const final = await readBack(fleet, primary, keys);
    if ('unread' in final) throw new Error(`the writes can't be read back: ${final.unread}`);
    await removeKeys(fleet, primary, keys).catch(() => {}); // they expire
    const verdict = checkHistory([...probe.history.map(operationOf), ...final.reads]);
    const failures = probe.history.filter((each) => each.outcome !== 'ok');
    return {
      way,
      requests: probe.history.length,
      failed: failures.length,
      failures: mostFrequent(failures),
      acknowledged: verdict.acknowledged,
      wrong: verdict.violations.length,
      longestMs: Math.round(Math.max(...probe.history.map((request) => stallMs(request, probe.history)))),
      lagMs: Math.round(lagOf(probe.history).maxMs),
    };
  } finally {
    fleet.close();
  }
}

const asRoot = (node: FleetNode, command: string) => node.ssh.exec(`sudo -n ${command}`, { timeoutMs: 60_000 });

const orders: Readonly<Record<Way, (fleet: Fleet, node: FleetNode) => Promise<unknown>>> = {
  'systemctl stop': (_, node) => asRoot(node, 'systemctl stop redis-server'),
  reboot: (_, node) => asRoot(node, 'systemctl --no-block reboot'),
  'shutdown by Linode': async (fleet, node) => {
    const api = linode(fleet);
    await api.shutdownInstance(await linodeId(fleet, node));
  },
};

const comesBack: typeof orders = {
  'systemctl stop': (_, node) => asRoot(node, 'systemctl start redis-server'),
  reboot: async () => {}, // by itself
  'shutdown by Linode': async (fleet, node) => {
    const api = linode(fleet);
    const id = await linodeId(fleet, node);
    const off = async () => ((await api.getInstance(id)).status === 'offline' ? true : undefined);
    await until(off, { timeoutMs: 60_000, intervalMs: 250, what: `${node.name} to be off` });
    await fleet.boot(node);
  },
};

function linode({ environment }: Fleet) {
  const { api: baseUrl, requestTimeoutMs } = environment.linode;
  return linodeApi({ baseUrl, token: secrets().linodeToken, requestTimeoutMs });
}

async function linodeId(fleet: Fleet, { name }: FleetNode): Promise<number> {
  const { nodes } = await readInventory(fleet.environment, linode(fleet), secrets().fleetSecret);
  const found = nodes.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no machine for ${name}`);
  return found.linodeId;
}
