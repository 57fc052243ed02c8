import type { JsonReply, JsonRequest } from '../json-server.ts';
import { notFound, refuse } from './errors.ts';
import { nextId, type Region, type StoredSubnet, type StoredVpc, timestamp } from './types.ts';

interface SubnetBody {
  readonly label: string;
  readonly ipv4: string;
}

export function createVpc(region: Region, request: JsonRequest): JsonReply {
  const body = request.body as { label: string; region: string; description?: string; subnets?: SubnetBody[] };
  if (!region.regions.includes(body.region)) throw refuse('region is not valid', 'region');
  if (region.store.data.vpcs.some((each) => each.label === body.label)) throw refuse('Label must be unique', 'label');
  const now = timestamp();
  const vpc: StoredVpc = {
    id: nextId(region),
    label: body.label,
    description: body.description ?? '',
    region: body.region,
    subnets: [],
    created: now,
    updated: now,
  };
  for (const subnet of body.subnets ?? []) addSubnet(region, vpc, subnet);
  region.store.data.vpcs.push(vpc);
  region.store.save();
  return { status: 200, body: vpcView(region, vpc) };
}

export function createSubnet(region: Region, request: JsonRequest): JsonReply {
  const vpc = vpcOf(region, request);
  const subnet = addSubnet(region, vpc, request.body as SubnetBody);
  region.store.save();
  return { status: 200, body: subnetView(region, subnet) };
}

export function deleteVpc(region: Region, request: JsonRequest): JsonReply {
  const vpc = vpcOf(region, request);
  if (vpc.subnets.some((subnet) => linodesOf(region, subnet).length > 0)) {
    throw refuse('VPC is in use; remove its Linodes first');
  }
  region.store.data.vpcs = region.store.data.vpcs.filter((each) => each !== vpc);
  region.store.save();
  return { status: 200, body: {} };
}

export function vpcOf(region: Region, request: JsonRequest): StoredVpc {
  const vpc = region.store.data.vpcs.find((each) => each.id === Number(request.params.vpcId));
  if (vpc === undefined) throw notFound();
  return vpc;
}

export function vpcView(region: Region, vpc: StoredVpc): Record<string, unknown> {
  return { ...vpc, subnets: vpc.subnets.map((subnet) => subnetView(region, subnet)) };
}

export function subnetView(region: Region, subnet: StoredSubnet): Record<string, unknown> {
  return { ...subnet, linodes: linodesOf(region, subnet), nodebalancers: [] };
}

/** The addresses that instances hold in a VPC. */
export function vpcAddresses(region: Region, vpc: StoredVpc): Record<string, unknown>[] {
  return region.store.data.instances.flatMap((instance) =>
    instance.interfaces
      .filter((each) => each.vpcId === vpc.id)
      .map((each) => {
        const subnet = vpc.subnets.find((candidate) => candidate.id === each.subnetId);
        return {
          address: each.address,
          address_range: null,
          vpc_id: vpc.id,
          subnet_id: each.subnetId,
          linode_id: instance.id,
          config_id: instance.configId,
          interface_id: each.id,
          region: vpc.region,
          active: instance.status === 'running',
          gateway: null,
          prefix: Number(subnet?.ipv4.split('/')[1]),
          subnet_mask: '255.255.255.0',
        };
      }),
  );
}

function addSubnet(region: Region, vpc: StoredVpc, body: SubnetBody): StoredSubnet {
  if (!/^\d+\.\d+\.\d+\.\d+\/\d+$/.test(body.ipv4)) throw refuse('Must be an IPv4 range', 'ipv4');
  if (vpc.subnets.some((each) => each.label === body.label)) throw refuse('Label must be unique', 'label');
  const now = timestamp();
  const subnet = { id: nextId(region), label: body.label, ipv4: body.ipv4, created: now, updated: now };
  vpc.subnets.push(subnet);
  return subnet;
}

function linodesOf(region: Region, subnet: StoredSubnet): Record<string, unknown>[] {
  return region.store.data.instances.flatMap((instance) => {
    const interfaces = instance.interfaces.filter((each) => each.subnetId === subnet.id);
    if (interfaces.length === 0) return [];
    const active = instance.status === 'running';
    return [
      {
        id: instance.id,
        interfaces: interfaces.map((each) => ({ id: each.id, active, config_id: instance.configId })),
      },
    ];
  });
}
