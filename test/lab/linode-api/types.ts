import type { StateFile } from '../state-file.ts';

/** What the lab's Linode API needs of machines; test/lab/machines has the real ones, tests have others. */
export interface Machines {
  /** Makes the machine without starting it. A machine of that name that is half made from an earlier try is made anew. */
  create(spec: MachineSpec): Promise<void>;
  boot(name: string): Promise<void>;
  shutdown(name: string): Promise<void>;
  reboot(name: string): Promise<void>;
  /** Removes it, running or not; no error when it is already gone. */
  destroy(name: string): Promise<void>;
  state(name: string): MachineState | Promise<MachineState>;
  /** Also told of what the machine does by itself, such as powering off. */
  onStateChange(listener: (name: string, state: MachineState) => void): void;
}

export type MachineState = 'running' | 'offline' | 'booting' | 'missing';

export interface MachineSpec {
  readonly name: string;
  readonly hostname: string;
  /** The public address first, then the VPC's. */
  readonly addresses: readonly string[];
  /** Its interface in a VLAN, eth2; the address with its prefix length. */
  readonly vlan?: { readonly label: string; readonly address: string };
  /** Of its type. */
  readonly diskMb: number;
  /** Decoded; empty when the request had none. */
  readonly userData: string;
}

export type InstanceStatus =
  | 'provisioning'
  | 'booting'
  | 'running'
  | 'rebooting'
  | 'shutting_down'
  | 'offline'
  | 'deleting';

export interface StoredInterface {
  id: number;
  purpose: 'public' | 'vlan' | 'vpc';
  primary: boolean;
  vpcId: number | null;
  subnetId: number | null;
  address: string | null;
  /** Of a VLAN. */
  label?: string;
  ipamAddress?: string;
}

export interface StoredInstance {
  id: number;
  configId: number;
  /** The machine's name: the label it was created with. */
  machine: string;
  label: string;
  region: string;
  type: string;
  image: string | null;
  tags: string[];
  status: InstanceStatus;
  created: string;
  updated: string;
  publicAddress: string;
  interfaces: StoredInterface[];
  userData: string;
  watchdog: boolean;
  /** Whether it shall run once it is created. */
  booted: boolean;
}

export type EventAction =
  | 'linode_create'
  | 'linode_boot'
  | 'linode_shutdown'
  | 'linode_reboot'
  | 'linode_delete'
  | 'lassie_reboot';

export interface StoredEvent {
  id: number;
  action: EventAction;
  status: 'scheduled' | 'started' | 'finished' | 'failed';
  instanceId: number;
  label: string;
  created: string;
  durationS: number;
  message: string | null;
}

export interface StoredSubnet {
  id: number;
  label: string;
  ipv4: string;
  created: string;
  updated: string;
}

export interface StoredVpc {
  id: number;
  label: string;
  description: string;
  region: string;
  subnets: StoredSubnet[];
  created: string;
  updated: string;
}

export interface StoredFirewall {
  id: number;
  label: string;
  status: 'enabled' | 'disabled';
  tags: string[];
  rules: Record<string, unknown> & { version: number };
  devices: { id: number; instanceId: number; created: string }[];
  created: string;
  updated: string;
}

export interface State {
  nextId: number;
  instances: StoredInstance[];
  events: StoredEvent[];
  vpcs: StoredVpc[];
  firewalls: StoredFirewall[];
}

/** What every part of the server works on. */
export interface Region {
  readonly store: StateFile<State>;
  readonly machines: Machines;
  readonly regions: readonly string[];
  readonly log: (line: string) => void;
  /** How long a machine that went off by itself stays off before the watchdog boots it (ms). */
  readonly lassieDelayMs: number;
}

/** The next identifier; Linode's are numbers that never come back. */
export function nextId(region: Region): number {
  region.store.data.nextId += 1;
  return region.store.data.nextId;
}

/** Linode writes times without a zone, in UTC. */
export function timestamp(): string {
  return new Date().toISOString().slice(0, 19);
}
