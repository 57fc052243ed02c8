import type { Redis } from 'ioredis';
import { derivePassword } from '../core/derive.ts';
import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode, Role } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { type KeptSsh, keptSsh } from '../core/kept-ssh.ts';
import { openRedis } from '../core/redis.ts';
import type { Secret } from '../core/secret.ts';
import type { Ssh } from '../core/ssh.ts';

export interface FleetNode extends EnvironmentNode {
  /** Connects at first use and again after a break. */
  readonly ssh: Pick<Ssh, 'node' | 'exec' | 'forward'>;
}

/** The running system as the drill reaches it. Everything is open until `close`. */
export interface Fleet {
  readonly environment: Environment;
  readonly nodes: readonly FleetNode[];
  /** `http://HOST:PORT` of the load balancer, as clients reach it. */
  readonly publicUrl: string;
  /** One client each, shared by all who ask. */
  redis(node: FleetNode): Redis;
  sentinel(node: FleetNode): Redis;
  /** A Sentinel connection of one's own, for subscribing. */
  openSentinel(node: FleetNode): Redis;
  /** Powers the machine on; one that runs already stays as it is. */
  boot(node: FleetNode): Promise<void>;
  close(): void;
}

export interface FleetOptions {
  readonly environment: Environment;
  readonly secret: Secret;
  readonly publicUrl: string;
  readonly connect: (node: EnvironmentNode) => Promise<Ssh>;
  readonly boot: (node: EnvironmentNode) => Promise<void>;
}

/** For one answer of a Redis or a Sentinel; a hung one must not hold up the others. */
const commandTimeoutMs = 1500;

/** Opens nothing yet: a node that can't be reached is told by the first who uses it. */
export function openFleet({ environment, secret, publicUrl, connect, boot }: FleetOptions): Fleet {
  const links = environment.nodes.map((node) => keptSsh(node.name, () => connect(node)));
  const nodes = environment.nodes.map((node, index) => ({ ...node, ssh: links[index] as KeptSsh }));
  const clients = new Map<string, Redis>();
  const open = (node: FleetNode, purpose: 'redis' | 'sentinel'): Redis =>
    openRedis({
      ssh: node.ssh,
      host: node.address,
      port: environment[purpose].port,
      password: derivePassword(secret, environment.name, purpose),
      commandTimeoutMs,
    });
  const shared = (node: FleetNode, purpose: 'redis' | 'sentinel'): Redis => {
    const key = `${purpose} ${node.name}`;
    const client = clients.get(key) ?? open(node, purpose);
    clients.set(key, client);
    return client;
  };
  return {
    environment,
    nodes,
    publicUrl,
    redis: (node) => shared(node, 'redis'),
    sentinel: (node) => shared(node, 'sentinel'),
    openSentinel: (node) => open(node, 'sentinel'),
    boot,
    close() {
      for (const client of clients.values()) client.disconnect();
      for (const link of links) link.close();
    },
  };
}

/** The nodes of a role, with their connections. */
export function fleetNodes(fleet: Fleet, role: Role): FleetNode[] {
  const names = nodesOf(fleet.environment, role).map((node) => node.name);
  return fleet.nodes.filter((node) => names.includes(node.name));
}

/** The node with that private address. Throws (`gate`): the Sentinels name a primary that the environment doesn't know. */
export function nodeAt(fleet: Pick<Fleet, 'environment' | 'nodes'>, address: string): FleetNode {
  const node = fleet.nodes.find((each) => each.address === address);
  if (node !== undefined) return node;
  throw new FiredrillError({
    code: 'gate',
    what: `no node of ${fleet.environment.name} has the address ${address}`,
    fix: 'Something else takes part in this fleet; find it before you drill',
  });
}
