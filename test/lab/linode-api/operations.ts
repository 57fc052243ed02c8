import { setImmediate as soon } from 'node:timers/promises';
import { messageOf } from '../../../actions/core/errors.ts';
import { specsOf } from './catalog.ts';
import {
  type EventAction,
  type InstanceStatus,
  type MachineSpec,
  type MachineState,
  nextId,
  type Region,
  type StoredEvent,
  type StoredInstance,
  timestamp,
} from './types.ts';

/** Linode answers an operation at once and tells of its course by events; one at a time per instance. */

/** Whether an operation runs on the instance, so that another gets "Linode busy.". */
export function isBusy(region: Region, instance: StoredInstance): boolean {
  return region.store.data.events.some((event) => event.instanceId === instance.id && isPending(event));
}

/** Starts an operation in the background: status and event change at once, the machine follows. */
export function start(region: Region, instance: StoredInstance, action: EventAction): void {
  if (region.store.closed) return;
  const event = addEvent(region, instance, action);
  instance.status = during[action];
  region.store.save();
  void perform(region, instance, event);
}

/** Takes up what a server that was killed left half done, and what the machines did meanwhile. */
export async function resume(region: Region): Promise<void> {
  for (const instance of region.store.data.instances) {
    const pending = region.store.data.events.find((event) => event.instanceId === instance.id && isPending(event));
    if (pending !== undefined) {
      void perform(region, instance, pending);
      continue;
    }
    followMachine(region, instance, await region.machines.state(instance.machine));
  }
  region.machines.onStateChange((name, state) => {
    const instance = region.store.data.instances.find((each) => each.machine === name);
    if (instance !== undefined && !isBusy(region, instance)) followMachine(region, instance, state);
  });
}

const during: Record<EventAction, InstanceStatus> = {
  linode_create: 'provisioning',
  linode_boot: 'booting',
  linode_shutdown: 'shutting_down',
  linode_reboot: 'rebooting',
  linode_delete: 'deleting',
  lassie_reboot: 'booting',
};

const after: Record<EventAction, InstanceStatus> = {
  linode_create: 'offline',
  linode_boot: 'running',
  linode_shutdown: 'offline',
  linode_reboot: 'running',
  linode_delete: 'deleting',
  lassie_reboot: 'running',
};

async function perform(region: Region, instance: StoredInstance, event: StoredEvent): Promise<void> {
  const startedAt = performance.now();
  const settle = (status: 'finished' | 'failed', message: string | null) => {
    event.status = status;
    event.message = message;
    event.durationS = (performance.now() - startedAt) / 1000;
    instance.updated = timestamp();
  };
  await soon();
  event.status = 'started';
  region.store.save();
  let done = false;
  try {
    await act(region, instance, event.action);
    settle('finished', null);
    instance.status = after[event.action];
    done = true;
  } catch (error) {
    region.log(`linode api: ${event.action} of ${instance.label} failed: ${messageOf(error)}`);
    settle('failed', messageOf(error));
    instance.status = (await region.machines.state(instance.machine)) === 'running' ? 'running' : 'offline';
  }
  if (done && event.action === 'linode_delete') forget(region, instance);
  if (done && event.action === 'linode_create' && instance.booted) start(region, instance, 'linode_boot');
  region.store.save();
}

async function act(region: Region, instance: StoredInstance, action: EventAction): Promise<void> {
  const { machines } = region;
  switch (action) {
    case 'linode_create':
      await machines.create({
        name: instance.machine,
        hostname: instance.label,
        addresses: [
          instance.publicAddress,
          ...instance.interfaces.flatMap((each) =>
            each.purpose === 'vpc' && each.address !== null ? [each.address] : [],
          ),
        ],
        ...vlanOf(instance),
        diskMb: specsOf(instance.type).disk ?? 0,
        userData: instance.userData,
      });
      return;
    case 'linode_boot':
    case 'lassie_reboot':
      if ((await machines.state(instance.machine)) !== 'running') await machines.boot(instance.machine);
      return;
    case 'linode_shutdown':
      await machines.shutdown(instance.machine);
      return;
    case 'linode_reboot':
      await machines.reboot(instance.machine);
      return;
    case 'linode_delete':
      await machines.destroy(instance.machine);
  }
}

function vlanOf({ interfaces }: StoredInstance): Pick<MachineSpec, 'vlan'> {
  const [vlan] = interfaces.flatMap(({ label, ipamAddress }) =>
    label === undefined || ipamAddress === undefined ? [] : [{ label, address: ipamAddress }],
  );
  return vlan === undefined ? {} : { vlan };
}

function forget(region: Region, instance: StoredInstance): void {
  const { data } = region.store;
  data.instances = data.instances.filter((each) => each !== instance);
  for (const firewall of data.firewalls) {
    firewall.devices = firewall.devices.filter((device) => device.instanceId !== instance.id);
  }
}

/** An instance's status follows what its machine does by itself; one that goes off is booted by the watchdog, as Linode's Lassie does. */
function followMachine(region: Region, instance: StoredInstance, state: MachineState): void {
  if (state === 'booting') return;
  const wasRunning = instance.status === 'running';
  instance.status = state === 'running' ? 'running' : 'offline';
  region.store.save();
  if (!wasRunning || state === 'running' || !instance.watchdog) return;
  const timer = setTimeout(() => {
    if (instance.status === 'offline' && !isBusy(region, instance)) start(region, instance, 'lassie_reboot');
  }, region.lassieDelayMs);
  timer.unref();
}

function addEvent(region: Region, instance: StoredInstance, action: EventAction): StoredEvent {
  const event: StoredEvent = {
    id: nextId(region),
    action,
    status: 'scheduled',
    instanceId: instance.id,
    label: instance.label,
    created: timestamp(),
    durationS: 0,
    message: null,
  };
  region.store.data.events.push(event);
  return event;
}

function isPending(event: StoredEvent): boolean {
  return event.status === 'scheduled' || event.status === 'started';
}
