import type { Environment } from '../core/environment/schema.ts';
import { listEnvironment } from '../core/inventory.ts';
import type { LinodeApi } from '../core/linode/api.ts';
import { firewallLabelOf, type Instance, instancesOf, vpcLabelOf } from '../core/linode/names.ts';

/** What Linode has of an environment, as far as the plan looks at it. */
export interface Live {
  readonly instances: readonly Instance[];
  readonly vpc?: {
    readonly id: number;
    readonly region: string;
    readonly subnets: readonly { readonly id: number; readonly ipv4: string }[];
  };
  readonly firewall?: { readonly id: number; readonly rules: unknown; readonly instanceIds: readonly number[] };
  /** The VPC address of each instance that has one. */
  readonly addresses: ReadonlyMap<number, string>;
  /** Of the instances of nodes that have a vlanAddress: the VLAN that they are in, as `LABEL ADDRESS/BITS`. */
  readonly vlans: ReadonlyMap<number, string>;
}

/** Reads it with five lists, as parallel as they can be, and one more for each node in a VLAN. */
export async function readLive(environment: Environment, api: LinodeApi): Promise<Live> {
  const [instances, network, firewall] = await Promise.all([
    listEnvironment(environment, api),
    readVpc(environment, api),
    readFirewall(environment, api),
  ]);
  const vlans = await readVlans(environment, api, instances);
  return { instances, vlans, ...network, ...(firewall === undefined ? {} : { firewall }) };
}

async function readVlans(
  environment: Environment,
  api: LinodeApi,
  instances: readonly Instance[],
): Promise<Live['vlans']> {
  const inVlan = environment.nodes.filter((node) => node.vlanAddress !== undefined);
  const found = await Promise.all(
    inVlan
      .flatMap((node) => instancesOf(environment, node, instances))
      .map(async ({ id }) => {
        const interfaces = (await api.listConfigs(id)).flatMap((config) => config.interfaces ?? []);
        const vlan = interfaces.find((each) => each.purpose === 'vlan');
        return vlan === undefined ? [] : [[id, `${vlan.label} ${vlan.ipam_address}`] as const];
      }),
  );
  return new Map(found.flat());
}

async function readVpc(environment: Environment, api: LinodeApi): Promise<Pick<Live, 'vpc' | 'addresses'>> {
  const vpc = (await api.listVpcs(vpcLabelOf(environment)))[0];
  if (vpc === undefined) return { addresses: new Map() };
  const held = await api.listVpcAddresses(vpc.id);
  const addresses = new Map(
    held.flatMap(({ linode_id, address }) =>
      linode_id === null || address === null ? [] : [[linode_id, address] as const],
    ),
  );
  const subnets = vpc.subnets.map(({ id, ipv4 }) => ({ id, ipv4: ipv4 ?? '' }));
  return { vpc: { id: vpc.id, region: vpc.region, subnets }, addresses };
}

async function readFirewall(environment: Environment, api: LinodeApi): Promise<Live['firewall']> {
  const firewall = (await api.listFirewalls(firewallLabelOf(environment)))[0];
  if (firewall === undefined) return undefined;
  const devices = await api.listFirewallDevices(firewall.id);
  const instanceIds = devices.filter(({ entity }) => entity.type === 'linode').map(({ entity }) => entity.id);
  return { id: firewall.id, rules: firewall.rules, instanceIds };
}
