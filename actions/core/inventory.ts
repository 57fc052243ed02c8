import { deriveHostKey } from './derive.ts';
import type { Environment, EnvironmentNode, Role } from './environment/schema.ts';
import { FiredrillError } from './errors.ts';
import type { LinodeApi } from './linode/api.ts';
import { environmentTag, type Instance, instancesOf, labelHead, labelOf } from './linode/names.ts';
import type { Secret } from './secret.ts';
import type { SshTarget } from './ssh.ts';

/** What exists of an environment. Derived from Linode's tags each time; there is no state file. */
export interface Inventory {
  readonly environment: string;
  readonly nodes: readonly InventoryNode[];
}

export interface InventoryNode {
  readonly name: string;
  readonly roles: readonly Role[];
  readonly linodeId: number;
  /** Linode's word: running, offline, booting ... */
  readonly status: string;
  /** The private address, in the VPC. */
  readonly address: string;
  readonly publicAddress: string;
  /** `ssh-ed25519 AAAA... comment`: the only key that the node may show. */
  readonly hostKey: string;
}

/** The environment's nodes with their Linodes. Throws a FiredrillError (`config`) that names the machines that are missing. */
export async function readInventory(environment: Environment, api: LinodeApi, fleetSecret: Secret): Promise<Inventory> {
  return deriveInventory(environment, await listEnvironment(environment, api), fleetSecret);
}

/** The instances that may belong to the environment: by tag, or by one of its nodes' labels. */
export async function listEnvironment(environment: Environment, api: LinodeApi): Promise<Instance[]> {
  const labels = new Set(environment.nodes.map((node) => labelOf(environment, node)));
  const tag = environmentTag(environment);
  // By how labels begin, and not by each label: a filter travels in a header, and a server takes some kilobytes of those.
  const found = await api.listInstances({
    '+or': [{ tags: tag }, { label: { '+contains': labelHead } }],
  } as Parameters<LinodeApi['listInstances']>[0]);
  return found.filter((each) => labels.has(each.label) || (each.tags.includes('firedrill') && each.tags.includes(tag)));
}

/** The pure part of `readInventory`. */
export function deriveInventory(
  environment: Environment,
  instances: readonly Instance[],
  fleetSecret: Secret,
): Inventory {
  const missing = environment.nodes.filter((node) => instancesOf(environment, node, instances).length === 0);
  if (missing.length > 0) {
    throw new FiredrillError({
      code: 'config',
      where: `environment ${environment.name}`,
      what: `no machine for ${missing.map((node) => node.name).join(', ')}`,
      fix: 'Run provision first',
    });
  }
  return {
    environment: environment.name,
    nodes: environment.nodes.map((node) =>
      inventoryNode(environment, node, theInstance(environment, node, instances), fleetSecret),
    ),
  };
}

/** How the controller reaches a node: by its public address, with the pinned host key. */
export function sshTarget(environment: Environment, node: InventoryNode, deployKey: Secret): SshTarget {
  return {
    node: node.name,
    host: node.publicAddress,
    port: environment.ssh.port,
    user: environment.ssh.user,
    hostKey: node.hostKey,
    privateKey: deployKey,
    connectTimeoutMs: environment.ssh.connectTimeoutMs,
  };
}

/** The one instance of a node. Throws a FiredrillError (`config`) when two claim to be it. */
export function theInstance(environment: Environment, node: EnvironmentNode, instances: readonly Instance[]): Instance {
  const found = instancesOf(environment, node, instances);
  if (found.length === 1 && found[0] !== undefined) return found[0];
  throw new FiredrillError({
    code: 'config',
    node: node.name,
    what: `${found.length} Linodes claim to be this node: ${found.map((each) => `${each.label} (${each.id})`).join(', ')}`,
    fix: `Remove the tag node:${node.name} from all but one, or delete what is not needed`,
  });
}

/** One node of the inventory, from its Linode. */
export function inventoryNode(
  environment: Environment,
  node: EnvironmentNode,
  instance: Instance,
  fleetSecret: Secret,
): InventoryNode {
  return {
    name: node.name,
    roles: node.roles,
    linodeId: instance.id,
    status: instance.status,
    address: node.address,
    publicAddress: publicAddressOf(node, instance),
    hostKey: deriveHostKey(fleetSecret, environment.name, node.name).publicLine,
  };
}

function publicAddressOf(node: EnvironmentNode, instance: Instance): string {
  // An instance with a private IPv4 lists that too; those are of 192.168.128.0/17 in every region.
  const address = instance.ipv4.find((each) => each !== node.address && !each.startsWith('192.168.'));
  if (address !== undefined) return address;
  throw new FiredrillError({
    code: 'remote',
    node: node.name,
    what: `Linode ${instance.id} has no public IPv4 address`,
    fix: 'Give it one in the Cloud Manager, or delete it and run provision',
  });
}
