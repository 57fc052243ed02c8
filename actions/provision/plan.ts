import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { theInstance } from '../core/inventory.ts';
import { firewallLabelOf, type Instance, instancesOf, labelOf, tagsOf, vpcLabelOf } from '../core/linode/names.ts';
import { firewallRules, type Rules, sameRules } from './firewall-rules.ts';
import type { Live } from './live.ts';
import { vlanOf } from './vlan.ts';

export type NetworkStep =
  | { readonly do: 'create-vpc'; readonly label: string; readonly region: string; readonly subnet: string }
  | { readonly do: 'create-subnet'; readonly vpcId: number; readonly subnet: string }
  | { readonly do: 'create-firewall'; readonly label: string; readonly rules: Rules }
  | { readonly do: 'update-firewall'; readonly id: number; readonly rules: Rules };

export type MachineStep =
  | { readonly do: 'create'; readonly label: string; readonly type: string; readonly tags: readonly string[] }
  | { readonly do: 'boot' }
  | { readonly do: 'tag'; readonly tags: readonly string[] }
  | { readonly do: 'guard' };

export interface MachinePlan {
  readonly node: EnvironmentNode;
  /** Undefined: it does not exist yet. */
  readonly instance?: Instance;
  /** What is done to it, in order; empty for one that is as it shall be. */
  readonly steps: readonly MachineStep[];
  /** Whether Linode's status must be waited for before anything else, because it is not running now. */
  readonly settles: boolean;
}

export interface Warning {
  readonly what: string;
  readonly fix: string;
}

export interface ProvisionPlan {
  readonly environment: string;
  readonly network: readonly NetworkStep[];
  readonly machines: readonly MachinePlan[];
  /** What differs and is not changed without an explicit word. */
  readonly warnings: readonly Warning[];
}

/** Whether applying the plan changes anything. */
export function changes(plan: ProvisionPlan): boolean {
  return plan.network.length > 0 || plan.machines.some((machine) => machine.steps.length > 0);
}

/**
 * What there is to do so that Linode has what the environment names. Pure. Never deletes, resizes or moves a machine: such
 * differences are warnings. Throws a FiredrillError (`config`) on what cannot be made to fit.
 */
export function planProvision(environment: Environment, live: Live): ProvisionPlan {
  const machines = environment.nodes.map((node) => planMachine(environment, node, live));
  return {
    environment: environment.name,
    network: [...planVpc(environment, live), ...planFirewall(environment, live)],
    machines,
    warnings: [
      ...machines.flatMap((machine) => driftOf(environment, machine, live)),
      ...strangers(environment, live.instances),
    ],
  };
}

function planVpc(environment: Environment, live: Live): NetworkStep[] {
  const { region } = environment.linode;
  const { subnet } = environment.network;
  const { vpc } = live;
  if (vpc === undefined) return [{ do: 'create-vpc', label: vpcLabelOf(environment), region, subnet }];
  if (vpc.region !== region) {
    throw mismatch(`VPC ${vpcLabelOf(environment)} is in ${vpc.region}, but linode.region is ${region}`);
  }
  if (vpc.subnets.some((each) => each.ipv4 === subnet)) return [];
  if (vpc.subnets.length === 0) return [{ do: 'create-subnet', vpcId: vpc.id, subnet }];
  const theirs = vpc.subnets.map((each) => each.ipv4).join(', ');
  throw mismatch(`VPC ${vpcLabelOf(environment)} has the subnet ${theirs}, but network.subnet is ${subnet}`);
}

function mismatch(what: string): FiredrillError {
  return new FiredrillError({
    code: 'config',
    what,
    fix: 'Correct the environment file, or use another environment name: machines do not move between networks',
  });
}

function planFirewall(environment: Environment, live: Live): NetworkStep[] {
  const rules = firewallRules(environment);
  if (live.firewall === undefined) return [{ do: 'create-firewall', label: firewallLabelOf(environment), rules }];
  return sameRules(rules, live.firewall.rules) ? [] : [{ do: 'update-firewall', id: live.firewall.id, rules }];
}

function planMachine(environment: Environment, node: EnvironmentNode, live: Live): MachinePlan {
  const tags = tagsOf(environment, node);
  if (instancesOf(environment, node, live.instances).length === 0) {
    const type = node.type ?? environment.linode.type;
    return { node, steps: [{ do: 'create', label: labelOf(environment, node), type, tags }], settles: true };
  }
  const instance = theInstance(environment, node, live.instances);
  const steps: MachineStep[] = [];
  const wanted = wantedTags(tags, instance.tags);
  if (wanted !== undefined) steps.push({ do: 'tag', tags: wanted });
  if (!live.firewall?.instanceIds.includes(instance.id)) steps.push({ do: 'guard' });
  if (instance.status === 'offline' || instance.status === 'stopped') steps.push({ do: 'boot' });
  return { node, instance, steps, settles: instance.status !== 'running' };
}

/** The tags the machine shall have: ours, and others' as they are. Undefined when it has them. */
function wantedTags(ours: readonly string[], theirs: readonly string[]): string[] | undefined {
  const stale = theirs.filter((tag) => /^(env|node|role):/.test(tag) && !ours.includes(tag));
  const missing = ours.filter((tag) => !theirs.includes(tag));
  if (stale.length === 0 && missing.length === 0) return undefined;
  return [...ours, ...theirs.filter((tag) => !ours.includes(tag) && !stale.includes(tag))];
}

function driftOf(environment: Environment, { node, instance }: MachinePlan, live: Live): Warning[] {
  if (instance === undefined) return [];
  const type = node.type ?? environment.linode.type;
  const { region } = environment.linode;
  const address = live.addresses.get(instance.id);
  const found: Warning[] = [];
  if (instance.type !== type) {
    found.push({
      what: `${node.name} is a ${instance.type}, the environment says ${type}`,
      fix: `Resize Linode ${instance.id} in the Cloud Manager, one node at a time, or correct the environment file`,
    });
  }
  if (instance.region !== region) {
    found.push({
      what: `${node.name} is in ${instance.region}, the environment says ${region}`,
      fix: `Migrate Linode ${instance.id}, or correct linode.region`,
    });
  }
  if (address !== undefined && address !== node.address) {
    found.push({
      what: `${node.name} has the VPC address ${address}, the environment says ${node.address}`,
      fix: `Correct the address in the environment file, or delete Linode ${instance.id} and run provision again`,
    });
  }
  const vlan = vlanOf(environment, node);
  const is = live.vlans.get(instance.id);
  if (vlan !== undefined && is !== `${vlan.label} ${vlan.ipam_address}`) {
    found.push({
      what: `${node.name} ${is === undefined ? 'is in no VLAN' : `is ${is} in its VLAN`}, the environment says ${vlan.label} ${vlan.ipam_address}`,
      fix: `Add that VLAN as eth2 of Linode ${instance.id} in the Cloud Manager and reboot it, or delete it and run provision again; one load balancer at a time`,
    });
  }
  return found;
}

function strangers(environment: Environment, instances: readonly Instance[]): Warning[] {
  const known = new Set(
    environment.nodes.flatMap((node) => instancesOf(environment, node, instances).map((each) => each.id)),
  );
  return instances
    .filter((instance) => !known.has(instance.id))
    .map((instance) => ({
      what: `the environment no longer names ${instance.label} (Linode ${instance.id}); it is left alone and costs money`,
      fix: 'Delete it in the Cloud Manager when nothing needs it, or name it in the environment file again',
    }));
}
