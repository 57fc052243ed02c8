import { messageOf } from '../../core/errors.ts';
import { type HaproxyServer, readHaproxy } from '../../core/haproxy.ts';
import { type RedisFacts, readRedis } from '../../core/redis.ts';
import { readSentinelView, type SentinelView } from '../../core/sentinel.ts';
import { holdsShared, sharedCommand } from '../../core/shared-address.ts';
import { unitsOf } from '../../core/units.ts';
import { type Fleet, type FleetNode, fleetNodes } from '../fleet.ts';
import { getFrom } from '../http.ts';

/** What a node answered, or why it didn't. */
export type Answer<T> = { readonly value: T } | { readonly error: string };
export type Answers<T> = Readonly<Record<string, Answer<T>>>;

/** The fleet at one moment, by node name. */
export interface FleetFacts {
  /** Each role's unit and its state, e.g. `{ 'redis-server': 'active' }`. */
  readonly units: Answers<Readonly<Record<string, string>>>;
  readonly sentinels: Answers<SentinelView>;
  /** Whether a Sentinel is in TILT: its clock jumped, and it only watches for 30 s. */
  readonly tilted: Answers<boolean>;
  readonly redis: Answers<RedisFacts>;
  readonly haproxy: Answers<readonly HaproxyServer[]>;
  /** Of each load balancer that shares an address: whether it has it. */
  readonly shared: Answers<boolean>;
  /** Who watches everybody else is watched here: Prometheus and Alertmanager are ready, or nobody would be told. */
  readonly monitors: Answers<'ready'>;
  /** Status of /readyz through the load balancer. */
  readonly ready: Answer<number>;
}

const answerTimeoutMs = 3000;

/** Asks everybody at the same time. Never throws: no answer is a fact, too. */
export async function readFleet(fleet: Fleet): Promise<FleetFacts> {
  const masterName = fleet.environment.sentinel.masterName;
  const address = fleet.environment.haproxy.shared?.address;
  const [units, sentinels, tilted, redis, haproxy, shared, monitors, ready] = await Promise.all([
    ask(fleet.nodes, async (node) => {
      const names = unitsOf(fleet.environment, node);
      const command = `systemctl is-active ${names.join(' ')}`; // names from this program, not from outside
      const { stdout } = await node.ssh.exec(command, { timeoutMs: answerTimeoutMs });
      const states = stdout.trim().split('\n');
      return Object.fromEntries(names.map((name, index) => [name, states[index] ?? 'unknown']));
    }),
    ask(fleetNodes(fleet, 'sentinel'), (node) => readSentinelView(fleet.sentinel(node), masterName)),
    ask(fleetNodes(fleet, 'sentinel'), async (node) =>
      /^sentinel_tilt:1/m.test(await fleet.sentinel(node).info('sentinel')),
    ),
    ask(fleetNodes(fleet, 'redis'), (node) => readRedis(fleet.redis(node))),
    ask(fleetNodes(fleet, 'lb'), (node) => readHaproxy(node.ssh, answerTimeoutMs)),
    ask(address === undefined ? [] : fleetNodes(fleet, 'lb'), async (node) =>
      holdsShared((await node.ssh.exec(sharedCommand(address ?? ''), { timeoutMs: answerTimeoutMs })).stdout),
    ),
    ask(fleetNodes(fleet, 'monitor'), (node) => mustWatch(node, fleet.environment.monitor)),
    answerOf(async () => {
      const response = await fetch(`${fleet.publicUrl}/readyz`, { signal: AbortSignal.timeout(answerTimeoutMs) });
      await response.arrayBuffer();
      return response.status;
    }),
  ]);
  return { units, sentinels, tilted, redis, haproxy, shared, monitors, ready };
}

async function mustWatch(node: FleetNode, ports: { port: number; alertmanagerPort: number }): Promise<'ready'> {
  const watchers = [
    ['Prometheus', ports.port],
    ['Alertmanager', ports.alertmanagerPort],
  ] as const;
  for (const [name, port] of watchers) {
    const { status } = await getFrom(node, port, '/-/ready', answerTimeoutMs).catch((error: unknown) => {
      throw new Error(`${name} answers nothing: ${messageOf(error)}`);
    });
    if (status !== 200) throw new Error(`${name} is not ready: /-/ready answers ${status}`);
  }
  return 'ready';
}

async function ask<N extends { readonly name: string }, T>(
  nodes: readonly N[],
  question: (node: N) => Promise<T>,
): Promise<Answers<T>> {
  const answers = nodes.map(async (node) => [node.name, await answerOf(() => question(node))] as const);
  return Object.fromEntries(await Promise.all(answers));
}

async function answerOf<T>(question: () => Promise<T>): Promise<Answer<T>> {
  try {
    return { value: await question() };
  } catch (error) {
    return { error: messageOf(error) };
  }
}
