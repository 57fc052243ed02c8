import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { run, tryRun } from './exec.ts';
import { bridge, type Lab, machineId } from './lab.ts';
import type { Vlan } from './record.ts';

const namespaces = '/run/netns';

/** `ip -batch` lines that make the lab's namespace: one bridge, its addresses, and no way out. */
export function bridgeLines(): string[] {
  return [
    'link set lo up',
    // Without snooping, so that VRRP's multicast reaches every port although nobody queries for it.
    // With an address of its own: otherwise it takes a port's, and changes it as machines come and go under their neighbours' ARP.
    `link add ${bridge.name} address ${macOf(bridge.addresses[0])} type bridge forward_delay 0 mcast_snooping 0`,
    ...bridge.addresses.map((address) => `addr add ${address}/${bridge.prefixLength} dev ${bridge.name}`),
    `link set ${bridge.name} up`,
  ];
}

/** `ip -batch` lines, in the lab's namespace, that plug the machine's cable in. */
export function cableLines(id: string, mac: string, { port, device, to } = firstCable(id)): string[] {
  return [
    `link add ${port} type veth peer name ${device} address ${mac} netns ${id}`,
    `link set ${port} master ${to}`,
    `link set ${port} up`,
  ];
}

const firstCable = (id: string) => ({ port: portName(id), device: 'eth0', to: bridge.name as string });
const vlanCable = (id: string, { label }: Vlan) => ({
  port: portName(`${id} vlan`),
  device: 'eth2',
  to: vlanName(label),
});

const portsOf = (id: string) => [portName(id), portName(`${id} vlan`)];

/** The bridge that is a VLAN of that label. */
export function vlanName(label: string): string {
  return portName(`vlan ${label}`);
}

/** The lab's own address in a VLAN, the first of its subnet, with the prefix length of a machine's there. Pure. */
export function labInVlan(address: string): string {
  const [host = '', bits = '24'] = address.split('/');
  const bytes = host.split('.').map(Number);
  const size = 2 ** (32 - Number(bits));
  const first = Math.floor(bytes.reduce((sum, byte) => sum * 256 + byte, 0) / size) * size + 1;
  return `${[24, 16, 8, 0].map((shift) => Math.floor(first / 2 ** shift) % 256).join('.')}/${bits}`;
}

/** `ip -batch` lines in the machine's namespace. */
export function addressLines(addresses: readonly string[]): string[] {
  return [
    'link set lo up',
    ...addresses.map((address) => `addr add ${address}/${bridge.prefixLength} dev eth0`),
    'link set eth0 up',
  ];
}

/** The bridge's end of a machine's cable. An interface name holds 15 characters, so the machine's name would not always fit. */
export function portName(id: string): string {
  return `m${createHash('sha256').update(id).digest('hex').slice(0, 12)}`;
}

/**
 * The hardware address that goes with an IPv4 address, locally administered. Always the same one: after a reboot or a new machine
 * in the old one's place nobody's ARP entry is wrong (it would take 8 s to be found out, and look like a slow boot).
 */
export function macOf(address: string): string {
  const bytes = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return ['02', 'fd', ...bytes].join(':');
}

/** Makes the lab's namespace with its bridge, unless it is there. It has no route out: what is not in the lab is unreachable. */
export async function upNetwork(lab: Lab): Promise<void> {
  // What machines need of the kernel can only be loaded from here. Built in or absent is no failure here: preflight tells what matters.
  await tryRun(['modprobe', '-a', '-q', 'overlay', 'bridge', 'veth', 'nf_tables', 'sch_tbf', 'sch_netem']).catch(
    () => {},
  );
  if (existsSync(`${namespaces}/${lab.name}`)) {
    const links = await run(['ip', '-n', lab.name, '-o', 'link']);
    if (links.stdout.includes(` ${bridge.name}:`)) return;
    await run(['ip', 'netns', 'del', lab.name]);
  }
  await run(['ip', 'netns', 'add', lab.name]);
  await batch(lab.name, bridgeLines());
  // A host with containers forwards, and a new namespace may inherit that.
  await run(['nsenter', `--net=${namespaces}/${lab.name}`, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward']);
}

/** Removes the lab's namespace and those of its machines. */
export async function downNetwork(lab: Lab): Promise<void> {
  for (const name of listNamespaces(lab)) await run(['ip', 'netns', 'del', name]);
}

/** A fresh namespace for the machine, plugged into the bridge: eth0 with its addresses, as after a power-on. */
export async function attachMachine(lab: Lab, name: string, addresses: readonly string[], vlan?: Vlan): Promise<void> {
  const id = machineId(lab, name);
  const [first] = addresses;
  if (first === undefined) throw new FiredrillError({ code: 'bug', node: name, what: 'a machine without an address' });
  await detachMachine(lab, name);
  await run(['ip', 'netns', 'add', id]);
  await batch(lab.name, cableLines(id, macOf(first)));
  await batch(id, addressLines(addresses));
  if (vlan !== undefined) await attachToVlan(lab, id, vlan);
}

async function attachToVlan(lab: Lab, id: string, vlan: Vlan): Promise<void> {
  const own = labInVlan(vlan.address);
  const [host = ''] = vlan.address.split('/');
  const options = ['address', macOf(own.split('/')[0] ?? ''), 'type', 'bridge', 'forward_delay', '0'];
  // Whoever comes first makes it; two may come at the same time.
  await tryRun(['ip', '-n', lab.name, 'link', 'add', vlanName(vlan.label), ...options, 'mcast_snooping', '0']);
  await batch(lab.name, [
    `addr replace ${own} dev ${vlanName(vlan.label)}`,
    `link set ${vlanName(vlan.label)} up`,
    ...cableLines(id, macOf(host), vlanCable(id, vlan)),
  ]);
  await batch(id, [`addr add ${vlan.address} dev eth2`, 'link set eth2 up']);
}

/** The rules of what is left of a machine that is off: nothing is answered, and nothing told. */
const silence = `table inet off {
  chain in { type filter hook input priority -300; policy drop; }
  chain out { type filter hook output priority -300; policy drop; }
}
`;

/**
 * What a machine that is off leaves on its cables: what is sent to it vanishes, as on Linode. Its hardware addresses are still known to
 * its neighbours (ARP is answered), since an address that nobody has ends a connection with "unreachable" after some seconds.
 */
export async function attachSilence(lab: Lab, name: string, addresses: readonly string[], vlan?: Vlan): Promise<void> {
  await attachMachine(lab, name, addresses, vlan);
  await run(inNamespace(machineId(lab, name), ['nft', '-f', '-']), { input: silence });
}

/** Pulls the cables of a machine that is about to lose its power: what its kernel sends while its processes die reaches nobody. */
export async function cutCables(lab: Lab, name: string): Promise<void> {
  for (const port of portsOf(machineId(lab, name))) await tryRun(['ip', '-n', lab.name, 'link', 'set', port, 'down']);
}

/** Pulls the cable and forgets the namespace with all that was set in it (addresses, nftables, tc). */
export async function detachMachine(lab: Lab, name: string): Promise<void> {
  const id = machineId(lab, name);
  // The namespace goes when its last process and name are gone; the cable goes at once.
  for (const port of portsOf(id)) await tryRun(['ip', '-n', lab.name, 'link', 'del', port]);
  if (existsSync(`${namespaces}/${id}`)) await run(['ip', 'netns', 'del', id]);
}

/** The namespaces of this lab: its own and its machines'. */
export function listNamespaces(lab: Lab): string[] {
  if (!existsSync(namespaces)) return [];
  return readdirSync(namespaces).filter((name) => name === lab.name || name.startsWith(`${lab.name}-`));
}

/** The command that runs `argv` in a network namespace. Not `ip netns exec`: that makes a mount namespace too, and mounts made in it are seen nowhere else. */
export function inNamespace(namespace: string, argv: readonly string[]): string[] {
  return ['nsenter', `--net=${namespaces}/${namespace}`, ...argv];
}

async function batch(namespace: string, lines: readonly string[]): Promise<void> {
  await run(['ip', '-n', namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
