import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { type Lab, machineDir, machineId, machinesDir } from './lab.ts';

export interface Vlan {
  readonly label: string;
  readonly address: string;
}

export interface MachineSpec {
  /** Names the machine in the lab: lower-case letters, digits, hyphens. */
  readonly name: string;
  readonly hostname: string;
  /** IPv4, without prefix; all on eth0. */
  readonly addresses: readonly string[];
  /** A second cable, eth2, into a VLAN; the address with its prefix length. */
  readonly vlan?: Vlan;
  /** The size of its disk, in MB. */
  readonly diskMb: number;
  /** cloud-config, as text. */
  readonly userData: string;
}

/** What machine.json holds. The user data is in the machine's own disk, as on Linode. */
export interface MachineRecord {
  readonly name: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly vlan?: Vlan;
  readonly diskMb: number;
  readonly instanceId: string;
}

/** Lays out what a new machine's disk begins with: its seed for cloud-init over the image. Throws when the name is taken. */
export function writeRecord(lab: Lab, spec: MachineSpec): MachineRecord {
  machineId(lab, spec.name);
  const dir = machineDir(lab, spec.name);
  if (existsSync(dir)) throw new FiredrillError({ code: 'config', what: `the lab has a machine ${spec.name} already` });
  const record = {
    name: spec.name,
    hostname: spec.hostname,
    addresses: spec.addresses,
    ...(spec.vlan === undefined ? {} : { vlan: spec.vlan }),
    diskMb: spec.diskMb,
    instanceId: `lab-${randomUUID()}`,
  };
  const upper = `${dir}/disk/upper`;
  const seed = `${upper}/var/lib/cloud/seed/nocloud`;
  mkdirSync(seed, { recursive: true });
  // It holds the host key.
  writeFileSync(`${seed}/user-data`, spec.userData, { mode: 0o600 });
  writeFileSync(`${seed}/meta-data`, `instance-id: ${record.instanceId}\nlocal-hostname: ${spec.hostname}\n`);
  mkdirSync(`${upper}/etc`, { recursive: true });
  writeFileSync(`${upper}/etc/hostname`, `${spec.hostname}\n`);
  // sudo and many others look their own name up, and there is no DNS.
  writeFileSync(`${upper}/etc/hosts`, `127.0.0.1 localhost\n127.0.1.1 ${spec.hostname}\n::1 localhost ip6-localhost\n`);
  writeFileSync(`${dir}/machine.json`, `${JSON.stringify(record, null, 2)}\n`);
  return record;
}

/** Throws when there is no such machine. */
export function readRecord(lab: Lab, name: string): MachineRecord {
  const file = `${machineDir(lab, name)}/machine.json`;
  if (!existsSync(file)) throw new FiredrillError({ code: 'config', what: `the lab has no machine ${name}` });
  return JSON.parse(readFileSync(file, 'utf8'));
}

export function listRecords(lab: Lab): MachineRecord[] {
  if (!existsSync(machinesDir(lab))) return [];
  const names = readdirSync(machinesDir(lab)).filter((name) => existsSync(`${machineDir(lab, name)}/machine.json`));
  return names.sort().map((name) => readRecord(lab, name));
}
