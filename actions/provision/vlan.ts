import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';

/** A VLAN interface in Linode's words. */
export interface VlanInterface {
  readonly purpose: 'vlan';
  readonly label: string;
  readonly ipam_address: string;
}

/** The node's interface in network.vlan, or undefined. The third of its interfaces, so eth2 on the node. */
export function vlanOf({ network }: Environment, node: EnvironmentNode): VlanInterface | undefined {
  if (network.vlan === undefined || node.vlanAddress === undefined) return undefined;
  const bits = network.vlan.subnet.split('/')[1];
  return { purpose: 'vlan', label: network.vlan.label, ipam_address: `${node.vlanAddress}/${bits}` };
}
