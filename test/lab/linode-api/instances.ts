import { randomUUID } from 'node:crypto';
import type { JsonReply, JsonRequest } from '../json-server.ts';
import { images, specsOf, types } from './catalog.ts';
import { busy, notFound, refuse } from './errors.ts';
import { attachDevice } from './firewalls.ts';
import { readInterfaces } from './interfaces.ts';
import { isBusy, start } from './operations.ts';
import { type EventAction, nextId, type Region, type StoredInstance, timestamp } from './types.ts';

/** What a create request may say, as far as the lab acts on it. */
interface CreateBody {
  readonly label?: string;
  readonly region: string;
  readonly type: string;
  readonly image?: string | null;
  readonly root_pass?: string;
  readonly booted?: boolean;
  readonly tags?: string[];
  readonly interfaces?: unknown[];
  readonly interface_generation?: string | null;
  readonly firewall_id?: number | null;
  readonly metadata?: { readonly user_data?: string };
}

const userDataLimit = 16_384;

export function createInstance(region: Region, request: JsonRequest): JsonReply {
  const body = request.body as CreateBody;
  const { data } = region.store;
  const label = body.label ?? `linode${data.nextId + 1}`;
  if (!region.regions.includes(body.region)) throw refuse('region is not valid', 'region');
  if (!types.some((type) => type.id === body.type)) throw refuse('A valid plan type by that ID was not found', 'type');
  if (body.image != null && !images.some((image) => image.id === body.image))
    throw refuse('image is not valid', 'image');
  if (body.image != null && body.root_pass === undefined) throw refuse('root_pass is required', 'root_pass');
  if (body.interface_generation === 'linode') {
    throw refuse(
      'the lab has interfaces of configurations only (interface_generation: legacy_config)',
      'interface_generation',
    );
  }
  requireUniqueLabel(region, label);
  for (const tag of body.tags ?? []) {
    if (tag.length < 3 || tag.length > 50) throw refuse('Length must be 3-50 characters', 'tags');
  }
  const firewall = data.firewalls.find((each) => each.id === body.firewall_id);
  if (body.firewall_id != null && firewall === undefined) throw refuse('Firewall not found', 'firewall_id');
  const now = timestamp();
  const instance: StoredInstance = {
    id: nextId(region),
    configId: nextId(region),
    machine: label,
    label,
    region: body.region,
    type: body.type,
    image: body.image ?? null,
    tags: [...(body.tags ?? [])],
    status: 'provisioning',
    created: now,
    updated: now,
    publicAddress: freePublicAddress(region),
    interfaces: readInterfaces(region, body.interfaces ?? []),
    userData: decodeUserData(body.metadata?.user_data),
    watchdog: true,
    booted: body.booted ?? body.image != null,
  };
  data.instances.push(instance);
  if (firewall !== undefined) attachDevice(region, firewall, instance.id);
  start(region, instance, 'linode_create');
  return { status: 200, body: instanceView(instance) };
}

export function updateInstance(region: Region, request: JsonRequest): JsonReply {
  const instance = instanceOf(region, request);
  const body = request.body as { label?: string; tags?: string[]; watchdog_enabled?: boolean };
  if (body.label !== undefined && body.label !== instance.label) requireUniqueLabel(region, body.label);
  instance.label = body.label ?? instance.label;
  instance.tags = body.tags ?? instance.tags;
  instance.watchdog = body.watchdog_enabled ?? instance.watchdog;
  instance.updated = timestamp();
  region.store.save();
  return { status: 200, body: instanceView(instance) };
}

/** Boot, shut down, reboot, delete: refused while something else runs. */
export function operate(region: Region, request: JsonRequest, action: EventAction): JsonReply {
  const instance = instanceOf(region, request);
  if (isBusy(region, instance)) throw busy();
  if (action === 'linode_boot' && instance.status === 'running') throw refuse('Linode is already running.');
  if (action === 'linode_shutdown' && instance.status === 'offline') throw refuse('Linode is not running.');
  start(region, instance, action);
  return { status: 200, body: {} };
}

/** The instance that the path names; 404 when there is none. */
export function instanceOf(region: Region, request: JsonRequest): StoredInstance {
  const instance = region.store.data.instances.find((each) => each.id === Number(request.params.linodeId));
  if (instance === undefined) throw notFound();
  return instance;
}

export function instanceView(instance: StoredInstance): Record<string, unknown> {
  return {
    id: instance.id,
    label: instance.label,
    group: '',
    status: instance.status,
    created: instance.created,
    updated: instance.updated,
    type: instance.type,
    ipv4: [instance.publicAddress],
    ipv6: null,
    image: instance.image,
    region: instance.region,
    specs: specsOf(instance.type),
    alerts: { cpu: 90, io: 10_000, network_in: 10, network_out: 10, transfer_quota: 80 },
    backups: { enabled: false, available: false, schedule: { day: null, window: null } },
    hypervisor: 'kvm',
    host_uuid: hostUuid,
    watchdog_enabled: instance.watchdog,
    tags: instance.tags,
    has_user_data: instance.userData !== '',
    placement_group: null,
    disk_encryption: 'disabled',
    lke_cluster_id: null,
    capabilities: [],
    interface_generation: 'legacy_config',
  };
}

const hostUuid = randomUUID();

function requireUniqueLabel(region: Region, label: string): void {
  if (region.store.data.instances.some((each) => each.label === label))
    throw refuse('Label must be unique among your linodes', 'label');
}

function decodeUserData(base64: string | undefined): string {
  if (base64 === undefined) return '';
  if (base64.length > userDataLimit)
    throw refuse(`user_data must not exceed ${userDataLimit} bytes`, 'metadata.user_data');
  return Buffer.from(base64, 'base64').toString('utf8');
}

/** 198.19.0.11 and up; the lowest free one, so that a lab's addresses look alike from run to run. */
function freePublicAddress(region: Region): string {
  const taken = new Set(region.store.data.instances.map((each) => each.publicAddress));
  for (let host = 11; host < 65_000; host += 1) {
    const address = `198.19.${host >> 8}.${host & 255}`;
    if (!taken.has(address)) return address;
  }
  throw refuse('No public addresses left');
}
