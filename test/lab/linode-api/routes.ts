import type { JsonReply, JsonRequest, Route } from '../json-server.ts';
import { images, regionView, types } from './catalog.ts';
import type { Description } from './description.ts';
import { notFound } from './errors.ts';
import { applyFilter } from './filter.ts';
import * as firewalls from './firewalls.ts';
import * as instances from './instances.ts';
import { interfaceView } from './interfaces.ts';
import { page } from './pages.ts';
import type { Region, StoredEvent } from './types.ts';
import * as vpcs from './vpcs.ts';

/** Every operation the lab speaks; patterns as in Linode's description, which is looked up by them. */
export function linodeRoutes(region: Region, description: Description): Route[] {
  const { data } = region.store;
  const get = (pattern: string, view: (request: JsonRequest) => unknown): Route => ({
    method: 'GET',
    pattern,
    handle: (request) => ({ status: 200, body: view(request) }),
  });
  const list = (pattern: string, items: (request: JsonRequest) => Record<string, unknown>[]): Route => ({
    method: 'GET',
    pattern,
    handle: (request) => {
      const filter = request.headers['x-filter'];
      const kept = applyFilter(
        items(request),
        Array.isArray(filter) ? filter[0] : filter,
        description.filterable(`GET ${pattern}`),
      );
      return page(request, kept);
    },
  });
  const write = (method: string, pattern: string, act: (region: Region, request: JsonRequest) => JsonReply): Route => ({
    method,
    pattern,
    handle: (request) => act(region, request),
  });
  const one = <T extends { id: string }>(items: readonly T[], id: string | undefined): T => {
    const found = items.find((each) => each.id === id);
    if (found === undefined) throw notFound();
    return found;
  };
  const regionViews = () => region.regions.map(regionView);
  const instance = '/linode/instances/{linodeId}';
  const firewall = '/networking/firewalls/{firewallId}';
  return [
    list('/regions', regionViews),
    get('/regions/{regionId}', (request) => one(regionViews(), request.params.regionId)),
    list('/linode/types', () => types),
    get('/linode/types/{typeId}', (request) => one(types, request.params.typeId)),
    list('/images', () => images),
    get('/images/{imageId}', (request) => one(images, request.params.imageId)),
    // Newest first, as Linode lists them.
    list('/account/events', () => data.events.map(eventView).reverse()),
    list('/linode/instances', () => data.instances.map(instances.instanceView)),
    write('POST', '/linode/instances', instances.createInstance),
    get(instance, (request) => instances.instanceView(instances.instanceOf(region, request))),
    write('PUT', instance, instances.updateInstance),
    write('DELETE', instance, (_, request) => instances.operate(region, request, 'linode_delete')),
    write('POST', `${instance}/boot`, (_, request) => instances.operate(region, request, 'linode_boot')),
    write('POST', `${instance}/reboot`, (_, request) => instances.operate(region, request, 'linode_reboot')),
    write('POST', `${instance}/shutdown`, (_, request) => instances.operate(region, request, 'linode_shutdown')),
    list(`${instance}/configs`, (request) => [configView(region, request)]),
    list(`${instance}/firewalls`, (request) => {
      const { id } = instances.instanceOf(region, request);
      return data.firewalls
        .filter((each) => each.devices.some((device) => device.instanceId === id))
        .map(firewalls.firewallView);
    }),
    list('/vpcs', () => data.vpcs.map((vpc) => vpcs.vpcView(region, vpc))),
    write('POST', '/vpcs', vpcs.createVpc),
    list('/vpcs/ips', () => data.vpcs.flatMap((vpc) => vpcs.vpcAddresses(region, vpc))),
    get('/vpcs/{vpcId}', (request) => vpcs.vpcView(region, vpcs.vpcOf(region, request))),
    write('DELETE', '/vpcs/{vpcId}', vpcs.deleteVpc),
    list('/vpcs/{vpcId}/ips', (request) => vpcs.vpcAddresses(region, vpcs.vpcOf(region, request))),
    list('/vpcs/{vpcId}/subnets', (request) =>
      vpcs.vpcOf(region, request).subnets.map((subnet) => vpcs.subnetView(region, subnet)),
    ),
    write('POST', '/vpcs/{vpcId}/subnets', vpcs.createSubnet),
    list('/networking/firewalls', () => data.firewalls.map(firewalls.firewallView)),
    write('POST', '/networking/firewalls', firewalls.createFirewall),
    get(firewall, (request) => firewalls.firewallView(firewalls.firewallOf(region, request))),
    write('PUT', firewall, firewalls.updateFirewall),
    write('DELETE', firewall, firewalls.deleteFirewall),
    get(`${firewall}/rules`, (request) => firewalls.firewallOf(region, request).rules),
    write('PUT', `${firewall}/rules`, firewalls.replaceRules),
    list(`${firewall}/devices`, (request) =>
      firewalls.firewallOf(region, request).devices.map((device) => firewalls.deviceView(region, device)),
    ),
    write('POST', `${firewall}/devices`, firewalls.addDevice),
    write('DELETE', `${firewall}/devices/{deviceId}`, firewalls.removeDevice),
  ];
}

function eventView(event: StoredEvent): Record<string, unknown> {
  return {
    id: event.id,
    action: event.action,
    status: event.status,
    created: event.created,
    duration: event.durationS,
    entity: {
      id: event.instanceId,
      type: 'linode',
      label: event.label,
      url: `/v4/linode/instances/${event.instanceId}`,
    },
    message: event.message,
    percent_complete: event.status === 'finished' ? 100 : 0,
    rate: null,
    read: false,
    seen: false,
    time_remaining: null,
    username: 'firedrill',
  };
}

function configView(region: Region, request: JsonRequest): Record<string, unknown> {
  const instance = instances.instanceOf(region, request);
  const interfaces = instance.interfaces.map((each) => interfaceView(each, instance.status === 'running'));
  return {
    id: instance.configId,
    label: 'My Debian 13 Disk Profile',
    kernel: 'linode/grub2',
    comments: '',
    memory_limit: 0,
    run_level: 'default',
    virt_mode: 'paravirt',
    helpers: { distro: true, network: true, modules_dep: true, devtmpfs_automount: true, updatedb_disabled: true },
    devices: {},
    interfaces,
  };
}
