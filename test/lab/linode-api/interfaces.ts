import { contains } from '../../../actions/core/environment/checks.ts';
import { refuse } from './errors.ts';
import { nextId, type Region, type StoredInterface } from './types.ts';

interface InterfaceBody {
  readonly purpose: 'public' | 'vlan' | 'vpc';
  readonly label?: string | null;
  readonly ipam_address?: string | null;
  readonly primary?: boolean;
  readonly vpc_id?: number | null;
  readonly subnet_id?: number | null;
  readonly ipv4?: { readonly vpc?: string | null };
}

/** A create request's interfaces, checked against the VPCs; without any the instance has a public one, as on Linode. */
export function readInterfaces(region: Region, bodies: readonly unknown[]): StoredInterface[] {
  if (bodies.length === 0) {
    return [{ id: nextId(region), purpose: 'public', primary: true, vpcId: null, subnetId: null, address: null }];
  }
  if (bodies.length > 3) throw refuse('A configuration has at most 3 interfaces', 'interfaces');
  return bodies.map((each, index) => readInterface(region, each as InterfaceBody, `interfaces[${index}]`));
}

function readInterface(region: Region, body: InterfaceBody, field: string): StoredInterface {
  const base = { id: nextId(region), purpose: body.purpose, primary: body.primary ?? false };
  if (body.purpose === 'vlan') return { ...base, ...readVlan(region, body, field) };
  if (body.purpose !== 'vpc') return { ...base, vpcId: null, subnetId: null, address: null };
  const vpc = region.store.data.vpcs.find((each) => each.subnets.some((subnet) => subnet.id === body.subnet_id));
  const subnet = vpc?.subnets.find((each) => each.id === body.subnet_id);
  if (vpc === undefined || subnet === undefined) throw refuse('Subnet not found', `${field}.subnet_id`);
  const address = body.ipv4?.vpc ?? null;
  if (address === null) throw refuse('the lab wants the VPC address to be named', `${field}.ipv4.vpc`);
  if (!contains(subnet.ipv4, address))
    throw refuse(`${address} is not in the subnet ${subnet.ipv4}`, `${field}.ipv4.vpc`);
  const taken = region.store.data.instances.some((instance) =>
    instance.interfaces.some((each) => each.subnetId === subnet.id && each.address === address),
  );
  if (taken) throw refuse(`${address} is already in use`, `${field}.ipv4.vpc`);
  return { ...base, vpcId: vpc.id, subnetId: subnet.id, address };
}

/** A VLAN is there as soon as somebody is in it. */
function readVlan(region: Region, { label, ipam_address: ipamAddress }: InterfaceBody, field: string) {
  if (!label) throw refuse('A VLAN has a label', `${field}.label`);
  if (!ipamAddress) throw refuse('the lab wants the VLAN address to be named', `${field}.ipam_address`);
  const taken = region.store.data.instances.some((instance) =>
    instance.interfaces.some((each) => each.label === label && each.ipamAddress === ipamAddress),
  );
  if (taken) throw refuse(`${ipamAddress} is already in use`, `${field}.ipam_address`);
  return { vpcId: null, subnetId: null, address: null, label, ipamAddress };
}

/** An interface as an instance's configuration shows it. */
export function interfaceView(each: StoredInterface, running: boolean): Record<string, unknown> {
  return {
    id: each.id,
    purpose: each.purpose,
    primary: each.primary,
    active: running,
    label: each.label ?? null,
    ipam_address: each.ipamAddress ?? null,
    vpc_id: each.vpcId,
    subnet_id: each.subnetId,
    ip_ranges: [],
    ...(each.address === null ? {} : { ipv4: { vpc: each.address } }),
  };
}
