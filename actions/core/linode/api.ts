import type {
  Config,
  CreateFirewallPayload,
  CreateLinodeRequest,
  CreateVPCPayload,
  Event,
  Filter,
  Firewall,
  FirewallDevice,
  Image,
  Linode,
  Region,
  Subnet,
  UpdateFirewallRules,
  VPC,
  VPCIP,
} from '@linode/api-v4';
import * as linode from '@linode/api-v4';
import { LinodeError } from './errors.ts';
import { pace } from './pace.ts';
import { allPages } from './pages.ts';
import { type RetryPolicy, withRetry } from './retry.ts';
import { type Connection, request } from './transport.ts';

export type { Event, Firewall, FirewallDevice, Linode, Subnet, VPC, VPCIP } from '@linode/api-v4';

export interface LinodeApiOptions extends Connection {
  readonly retry?: Partial<RetryPolicy>;
}

/** The calls that Firedrill uses, each with a deadline, retries where they are safe, all pages, and a LinodeError when it fails. */
export interface LinodeApi {
  listInstances(filter?: Filter): Promise<Linode[]>;
  getInstance(id: number): Promise<Linode>;
  /** Creates the instance, or finds the one that an unclear earlier try created. Keeps Linode's limit of 20 in 15 s. */
  createInstance(data: CreateLinodeRequest & { label: string }): Promise<Linode>;
  /** Its configuration profiles, with their interfaces. */
  listConfigs(id: number): Promise<Config[]>;
  updateTags(id: number, tags: readonly string[]): Promise<Linode>;
  /** Each waits while Linode is busy with the instance, and returns when Linode has taken the order, not when it is carried out. */
  bootInstance(id: number): Promise<void>;
  shutdownInstance(id: number): Promise<void>;
  rebootInstance(id: number): Promise<void>;
  deleteInstance(id: number): Promise<void>;
  /** The newest events of these instances, at least 500 where there are so many; those of one instance newest first. */
  listInstanceEvents(ids: readonly number[]): Promise<Event[]>;
  getRegion(id: string): Promise<Region>;
  getImage(id: string): Promise<Image>;
  listVpcs(label: string): Promise<VPC[]>;
  createVpc(data: CreateVPCPayload): Promise<VPC>;
  createSubnet(vpcId: number, data: { label: string; ipv4: string }): Promise<Subnet>;
  deleteVpc(id: number): Promise<void>;
  listVpcAddresses(vpcId: number): Promise<VPCIP[]>;
  listFirewalls(label: string): Promise<Firewall[]>;
  createFirewall(data: CreateFirewallPayload): Promise<Firewall>;
  replaceFirewallRules(id: number, rules: UpdateFirewallRules): Promise<void>;
  listFirewallDevices(id: number): Promise<FirewallDevice[]>;
  addFirewallDevice(id: number, instanceId: number): Promise<void>;
  deleteFirewall(id: number): Promise<void>;
}

/** Ids in one filter: it travels in a header, and a server takes some kilobytes of those. */
const idsAtOnce = 150;

/** A client for `options.baseUrl`. Nothing is sent before the first call. */
export function linodeApi(options: LinodeApiOptions): LinodeApi {
  const policy: RetryPolicy = { forMs: 180_000, pauseMs: 500, maxPauseMs: 10_000, unclearTries: 4, ...options.retry };
  const once = <T>(call: string, work: () => Promise<T>) => request(options, call, work);
  /** For calls that may be made twice. */
  const again = <T>(call: string, work: () => Promise<T>) => withRetry(() => once(call, work), policy);
  const list = <T>(call: string, work: (params: linode.Params) => Promise<linode.ResourcePage<T>>) =>
    allPages((params) => again(call, () => work(params)));
  /** For what must not be made twice: after an unclear failure the label tells whether it is there. */
  const create = <T>(label: string, work: () => Promise<T>, find: () => Promise<readonly T[]>) =>
    withRetry(
      () => once(`create ${label}`, work),
      policy,
      async () => (await find())[0],
    );
  /** An order to an instance; after an unclear failure its status tells whether it was taken. */
  const order = async (call: string, id: number, work: () => Promise<unknown>, taken: readonly string[]) => {
    const settle = async () => (taken.includes((await api.getInstance(id)).status) ? true : undefined);
    await withRetry(() => once(`${call} ${id}`, async () => void (await work())).then(() => true), policy, settle);
  };
  const gone = async (call: string, work: () => Promise<unknown>) => {
    await again(call, work).catch((error: unknown) => {
      if (!(error instanceof LinodeError && error.status === 404)) throw error;
    });
  };
  const createSlot = pace(20, 15_000);

  const api: LinodeApi = {
    listInstances: (filter) => list('list instances', (params) => linode.getLinodes(params, filter)),
    getInstance: (id) => again(`get instance ${id}`, () => linode.getLinode(id)),
    createInstance: (data) =>
      create(
        data.label,
        async () => {
          await createSlot();
          return await linode.createLinode(data);
        },
        () => api.listInstances({ label: data.label }),
      ),
    listConfigs: (id) => list(`list configurations of ${id}`, (params) => linode.getLinodeConfigs(id, params)),
    updateTags: (id, tags) => again(`tag instance ${id}`, () => linode.updateLinode(id, { tags: [...tags] })),
    bootInstance: (id) => order('boot', id, () => linode.linodeBoot(id), ['booting', 'running']),
    shutdownInstance: (id) => order('shut down', id, () => linode.linodeShutdown(id), ['shutting_down', 'offline']),
    rebootInstance: (id) => order('reboot', id, () => linode.linodeReboot(id), ['rebooting']),
    deleteInstance: (id) => gone(`delete instance ${id}`, () => linode.deleteLinode(id)),
    listInstanceEvents: async (ids) => {
      const groups = Array.from({ length: Math.ceil(ids.length / idsAtOnce) }, (_, index) =>
        ids.slice(index * idsAtOnce, (index + 1) * idsAtOnce),
      );
      const lists = groups.map(async (group) => {
        const filter = {
          'entity.type': 'linode',
          '+or': group.map((id) => ({ 'entity.id': id })),
          '+order_by': 'id',
          '+order': 'desc',
        };
        return (await again('list events', () => linode.getEvents({ page_size: 500 }, filter as Filter))).data;
      });
      return (await Promise.all(lists)).flat();
    },
    getRegion: (id) => again(`get region ${id}`, () => linode.getRegion(id)),
    getImage: (id) => again(`get image ${id}`, () => linode.getImage(id)),
    listVpcs: (label) => list('list VPCs', (params) => linode.getVPCs(params, { label })),
    createVpc: (data) =>
      create(
        data.label,
        () => linode.createVPC(data),
        () => api.listVpcs(data.label),
      ),
    createSubnet: (vpcId, data) =>
      create(
        data.label,
        () => linode.createSubnet(vpcId, data),
        () => list('list subnets', (params) => linode.getSubnets(vpcId, params, { label: data.label })),
      ),
    deleteVpc: (id) => gone(`delete VPC ${id}`, () => linode.deleteVPC(id)),
    listVpcAddresses: (vpcId) => list('list VPC addresses', (params) => linode.getVPCIPs(vpcId, params)),
    listFirewalls: (label) => list('list firewalls', (params) => linode.getFirewalls(params, { label })),
    createFirewall: (data) =>
      create(
        data.label,
        () => linode.createFirewall(data),
        () => api.listFirewalls(data.label),
      ),
    replaceFirewallRules: async (id, rules) => {
      await again(`update firewall ${id}`, () => linode.updateFirewallRules(id, rules));
    },
    listFirewallDevices: (id) => list('list firewall devices', (params) => linode.getFirewallDevices(id, params)),
    addFirewallDevice: async (id, instanceId) => {
      const attach = async () => void (await linode.addFirewallDevice(id, { id: instanceId, type: 'linode' }));
      const attached = async () =>
        (await api.listFirewallDevices(id)).some(({ entity }) => entity.id === instanceId) ? true : undefined;
      await withRetry(() => once(`attach firewall ${id}`, attach).then(() => true), policy, attached);
    },
    deleteFirewall: (id) => gone(`delete firewall ${id}`, () => linode.deleteFirewall(id)),
  };
  return api;
}
