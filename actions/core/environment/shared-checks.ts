import { contains, type Indexed, type Mistake, type ParsedSections } from './checks.ts';

const bgp = 'A public address, which Linode moves by BGP, is not supported';

/** The rules about the VLAN, the two load balancers in it and the address that they share. `complete`: all nodes could be read. */
export function sharedChecks(nodes: readonly Indexed[], parsed: ParsedSections, complete: boolean): Mistake[] {
  return [
    ...vlanChecks(nodes, parsed),
    ...(complete ? balancerChecks(nodes, parsed) : []),
    ...addressChecks(nodes, parsed),
    ...scenarioChecks(parsed),
  ];
}

function vlanChecks(nodes: readonly Indexed[], { network }: ParsedSections): Mistake[] {
  if (network === undefined) return [];
  const { vlan, subnet } = network;
  if (vlan !== undefined && (overlap(vlan.subnet, subnet) || overlap(subnet, vlan.subnet))) {
    const what = `network.vlan.subnet ${vlan.subnet} has addresses of network.subnet ${subnet}`;
    return [{ path: ['network', 'vlan', 'subnet'], what, fix: 'Use another subnet: they are two networks' }];
  }
  return nodes.flatMap(({ node, index }): Mistake[] => {
    const path = ['nodes', index, 'vlanAddress'];
    if (node.vlanAddress === undefined) return [];
    if (vlan === undefined)
      return [{ path, what: `${node.name} has a vlanAddress but there is no network.vlan`, fix: 'Set network.vlan' }];
    if (contains(vlan.subnet, node.vlanAddress)) return [];
    const what = `vlanAddress ${node.vlanAddress} is not a host address of network.vlan.subnet ${vlan.subnet}`;
    return [{ path, what, fix: `Use a free address inside ${vlan.subnet}` }];
  });
}

/** Two load balancers share an address, and one has nobody to share with. */
function balancerChecks(nodes: readonly Indexed[], { haproxy, network, isShared }: ParsedSections): Mistake[] {
  if (haproxy === undefined) return [];
  const balancers = nodes.filter(({ node }) => node.roles.includes('lb'));
  const names = balancers.map(({ node }) => node.name).join(', ');
  const path = ['haproxy', 'shared'];
  if (haproxy.shared === undefined) {
    if (balancers.length < 2 || isShared) return [];
    const what = `${names} have the role lb and share no address: clients would use one of them`;
    return [{ path: ['nodes', balancers[1]?.index ?? 0, 'roles'], what, fix: `Set haproxy.shared. ${bgp}` }];
  }
  if (balancers.length !== 2) {
    const what = `an address is shared by exactly two load balancers, and ${names || 'no node'} has the role lb`;
    return [{ path, what, fix: 'Give the role lb to two nodes, or take haproxy.shared away' }];
  }
  if (network === undefined) return [];
  if (network.vlan === undefined)
    return [{ path, what: 'there is no VLAN for VRRP to move the address in', fix: `Set network.vlan. ${bgp}` }];
  return balancers
    .filter(({ node }) => node.vlanAddress === undefined)
    .map(({ node, index }) => ({
      path: ['nodes', index],
      what: `${node.name} shares an address in network.vlan and has no vlanAddress`,
      fix: `Give it one inside ${network.vlan?.subnet}`,
    }));
}

function addressChecks(nodes: readonly Indexed[], { haproxy, network }: ParsedSections): Mistake[] {
  const address = haproxy?.shared?.address;
  if (address === undefined) return [];
  const path = ['haproxy', 'shared', 'address'];
  const owner = nodes.find(({ node }) => [node.address, node.vlanAddress].includes(address));
  if (owner !== undefined)
    return [{ path, what: `${address} is ${owner.node.name}'s own address`, fix: 'Use one that no node has' }];
  if (network?.vlan === undefined || contains(network.vlan.subnet, address)) return [];
  const what = `${address} is not a host address of network.vlan.subnet ${network.vlan.subnet}`;
  return [{ path, what, fix: `Use a free address inside ${network.vlan.subnet}` }];
}

/** Nothing takes over from the only load balancer: its death is an outage, and no drill. */
function scenarioChecks({ drill, haproxy, isShared }: ParsedSections): Mistake[] {
  if (drill === undefined || haproxy === undefined || isShared) return [];
  return (['scenarios', 'rotation'] as const).flatMap((list) =>
    drill[list].flatMap((name, index): Mistake[] => {
      if (!name.startsWith('lb-')) return [];
      const what = `${name} needs two load balancers that share an address, and here is only one`;
      return [{ path: ['drill', list, index], what, fix: 'Take it away, or set haproxy.shared' }];
    }),
  );
}

/** Whether the first address of `a` lies in `b`. */
function overlap(a: string, b: string): boolean {
  const [base = ''] = a.split('/');
  const [start = '', bits = '32'] = b.split('/');
  const size = 2 ** (32 - Number(bits));
  const of = (address: string) => address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  return Math.floor(of(base) / size) === Math.floor(of(start) / size);
}
