import type { JsonReply, JsonRequest } from '../json-server.ts';
import { notFound, refuse } from './errors.ts';
import { nextId, type Region, type StoredFirewall, timestamp } from './types.ts';

/** Firewalls are kept and checked as Linode's, but the lab's network does not enforce them. */

type Rules = { inbound?: Rule[]; outbound?: Rule[] };
type Rule = { protocol: string; ports?: string | null; addresses?: { ipv4?: string[]; ipv6?: string[] } };

export function createFirewall(region: Region, request: JsonRequest): JsonReply {
  const body = request.body as { label: string; tags?: string[]; rules: Rules; devices?: { linodes?: number[] } };
  const { data } = region.store;
  if (data.firewalls.some((each) => each.label === body.label)) throw refuse('Label must be unique', 'label');
  checkRules(body.rules);
  const now = timestamp();
  const firewall: StoredFirewall = {
    id: nextId(region),
    label: body.label,
    status: 'enabled',
    tags: body.tags ?? [],
    rules: { inbound: [], outbound: [], ...body.rules, version: 1 },
    devices: [],
    created: now,
    updated: now,
  };
  data.firewalls.push(firewall);
  for (const id of body.devices?.linodes ?? []) attachDevice(region, firewall, id);
  region.store.save();
  return { status: 200, body: firewallView(firewall) };
}

export function replaceRules(region: Region, request: JsonRequest): JsonReply {
  const firewall = firewallOf(region, request);
  checkRules(request.body as Rules);
  firewall.rules = { ...firewall.rules, ...(request.body as Rules), version: firewall.rules.version + 1 };
  firewall.updated = timestamp();
  region.store.save();
  return { status: 200, body: firewall.rules };
}

export function updateFirewall(region: Region, request: JsonRequest): JsonReply {
  const firewall = firewallOf(region, request);
  const { label, tags, status } = request.body as Partial<Pick<StoredFirewall, 'label' | 'tags' | 'status'>>;
  firewall.label = label ?? firewall.label;
  firewall.tags = tags ?? firewall.tags;
  firewall.status = status ?? firewall.status;
  firewall.updated = timestamp();
  region.store.save();
  return { status: 200, body: firewallView(firewall) };
}

export function deleteFirewall(region: Region, request: JsonRequest): JsonReply {
  const firewall = firewallOf(region, request);
  region.store.data.firewalls = region.store.data.firewalls.filter((each) => each !== firewall);
  region.store.save();
  return { status: 200, body: {} };
}

export function addDevice(region: Region, request: JsonRequest): JsonReply {
  const firewall = firewallOf(region, request);
  const body = request.body as { id: number; type: string };
  if (body.type !== 'linode') throw refuse('the lab attaches firewalls to Linodes only', 'type');
  if (!region.store.data.instances.some((each) => each.id === body.id)) throw refuse('Linode not found', 'id');
  if (firewall.devices.some((each) => each.instanceId === body.id))
    throw refuse('Already assigned to this firewall', 'id');
  const device = attachDevice(region, firewall, body.id);
  region.store.save();
  return { status: 200, body: deviceView(region, device) };
}

export function removeDevice(region: Region, request: JsonRequest): JsonReply {
  const firewall = firewallOf(region, request);
  const device = firewall.devices.find((each) => each.id === Number(request.params.deviceId));
  if (device === undefined) throw notFound();
  firewall.devices = firewall.devices.filter((each) => each !== device);
  region.store.save();
  return { status: 200, body: {} };
}

export function attachDevice(
  region: Region,
  firewall: StoredFirewall,
  instanceId: number,
): StoredFirewall['devices'][number] {
  const device = { id: nextId(region), instanceId, created: timestamp() };
  firewall.devices.push(device);
  return device;
}

export function firewallOf(region: Region, request: JsonRequest): StoredFirewall {
  const firewall = region.store.data.firewalls.find((each) => each.id === Number(request.params.firewallId));
  if (firewall === undefined) throw notFound();
  return firewall;
}

export function firewallView(firewall: StoredFirewall): Record<string, unknown> {
  const { devices: _, ...view } = firewall;
  return view;
}

export function deviceView(region: Region, device: StoredFirewall['devices'][number]): Record<string, unknown> {
  const label = region.store.data.instances.find((each) => each.id === device.instanceId)?.label ?? '';
  const entity = { id: device.instanceId, type: 'linode', label, url: `/v4/linode/instances/${device.instanceId}` };
  return { id: device.id, created: device.created, updated: device.created, entity };
}

function checkRules(rules: Rules): void {
  const both = [...(rules.inbound ?? []), ...(rules.outbound ?? [])];
  if (both.length > 25) throw refuse('A firewall has at most 25 rules', 'rules');
  for (const rule of both) {
    const addresses = [...(rule.addresses?.ipv4 ?? []), ...(rule.addresses?.ipv6 ?? [])];
    if (addresses.length > 255) throw refuse('A rule has at most 255 addresses', 'rules.addresses');
    const portless = rule.protocol === 'ICMP' || rule.protocol === 'IPENCAP';
    if (portless && rule.ports != null) throw refuse(`Ports are not allowed for ${rule.protocol}`, 'rules.ports');
  }
}
