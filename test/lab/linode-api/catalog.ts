/** What the lab's region offers. Figures as Linode lists them; the lab's machines share the host, whatever their type. */

const plans: readonly [id: string, plan: string, label: string, vcpus: number, memoryMb: number, diskGb: number][] = [
  ['g6-nanode-1', 'nanode', 'Nanode 1GB', 1, 1024, 25],
  ['g6-standard-1', 'standard', 'Linode 2GB', 1, 2048, 50],
  ['g6-standard-2', 'standard', 'Linode 4GB', 2, 4096, 80],
  ['g6-dedicated-2', 'dedicated', 'Dedicated 4GB', 2, 4096, 80],
];

export const types = plans.map(([id, plan, label, vcpus, memory, disk]) => ({
  id,
  class: plan,
  label,
  vcpus,
  memory,
  disk: disk * 1024,
  gpus: 0,
  network_out: 1000,
  transfer: 1000,
  price: { hourly: 0, monthly: 0 },
  region_prices: [],
  addons: { backups: { price: { hourly: 0, monthly: 0 }, region_prices: [] } },
  successor: null,
}));

/** A type's figures as an instance shows them. */
export function specsOf(id: string): Record<string, number> {
  const type = types.find((each) => each.id === id);
  return { disk: type?.disk ?? 0, memory: type?.memory ?? 0, vcpus: type?.vcpus ?? 0, gpus: 0, transfer: 1000 };
}

export function regionView(id: string): Record<string, unknown> & { id: string } {
  return {
    id,
    label: `Firedrill lab, ${id}`,
    country: 'nl',
    capabilities: ['Linodes', 'Cloud Firewall', 'Vlans', 'VPCs', 'Metadata', 'Placement Group'],
    status: 'ok',
    site_type: 'core',
    resolvers: { ipv4: '', ipv6: '' },
    placement_group_limits: {
      maximum_pgs_per_customer: 100,
      maximum_linodes_per_pg: 5,
      maximum_linodes_per_flexible_pg: 5,
    },
  };
}

export const images = [
  {
    id: 'linode/debian13',
    label: 'Debian 13',
    description: null,
    created: '2025-08-12T00:00:00',
    updated: '2025-08-12T00:00:00',
    created_by: 'linode',
    vendor: 'Debian',
    type: 'manual',
    status: 'available',
    is_public: true,
    deprecated: false,
    size: 1500,
    total_size: 1500,
    capabilities: ['cloud-init', 'distributed-sites'],
    regions: [],
    tags: [],
    eol: null,
    expiry: null,
  },
];
