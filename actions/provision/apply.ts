import { randomBytes } from 'node:crypto';
import type { Environment } from '../core/environment/schema.ts';
import { asFiredrillError, FiredrillError } from '../core/errors.ts';
import { listEnvironment } from '../core/inventory.ts';
import type { LinodeApi } from '../core/linode/api.ts';
import type { Instance } from '../core/linode/names.ts';
import { type Log, progressLine } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { Ssh, SshTarget } from '../core/ssh.ts';
import type { Live } from './live.ts';
import type { MachinePlan, MachineStep, ProvisionPlan } from './plan.ts';
import { vlanOf } from './vlan.ts';
import { waitCloudInit, waitRunning, waitSsh } from './wait.ts';
import { type Watch, watchInstances } from './watch.ts';

export interface ApplyContext {
  readonly environment: Environment;
  readonly api: LinodeApi;
  readonly log: Log;
  readonly connect: (target: SshTarget) => Promise<Ssh>;
  readonly secrets: { readonly fleetSecret: Secret; readonly deployKey: Secret };
  /** The user data of a node to be created. */
  readonly userData: (node: MachinePlan['node']) => Secret;
}

interface Network {
  readonly vpcId: number;
  readonly subnetId: number;
  readonly firewallId: number;
}

/**
 * Carries a plan out: the network first, then all machines in parallel, each until cloud-init is done. A run that dies in between
 * leaves what the next plan takes up. Throws one FiredrillError that names every machine that did not come up.
 */
export async function applyPlan(plan: ProvisionPlan, live: Live, context: ApplyContext): Promise<void> {
  const network = await applyNetwork(plan, live, context);
  const list = () => listEnvironment(context.environment, context.api);
  const watch = watchInstances(context.api, list, context.environment.linode.pollIntervalMs);
  const results = await Promise.allSettled(plan.machines.map((machine) => bringUp(machine, network, watch, context)));
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as FiredrillError] : []));
  if (failures.length === 0) return;
  if (failures.length === 1) throw failures[0];
  throw new FiredrillError({
    code: failures[0]?.code ?? 'remote',
    what: `${failures.length} machines did not come up\n${failures.map((each) => `  ${each.message}`).join('\n')}`,
    cause: new AggregateError(failures),
  });
}

async function applyNetwork(plan: ProvisionPlan, live: Live, context: ApplyContext): Promise<Network> {
  const { api, environment } = context;
  let vpcId = live.vpc?.id;
  let subnetId = live.vpc?.subnets.find((each) => each.ipv4 === environment.network.subnet)?.id;
  let firewallId = live.firewall?.id;
  for (const step of plan.network) {
    const startedAt = performance.now();
    if (step.do === 'create-vpc') {
      const subnets = [{ label: 'nodes', ipv4: step.subnet }];
      const vpc = await api.createVpc({ label: step.label, region: step.region, subnets });
      vpcId = vpc.id;
      subnetId = vpc.subnets[0]?.id;
    } else if (step.do === 'create-subnet') {
      subnetId = (await api.createSubnet(step.vpcId, { label: 'nodes', ipv4: step.subnet })).id;
    } else if (step.do === 'create-firewall') {
      const rules = step.rules as unknown as Parameters<LinodeApi['replaceFirewallRules']>[1];
      firewallId = (await api.createFirewall({ label: step.label, rules, tags: ['firedrill'] })).id;
    } else {
      await api.replaceFirewallRules(
        step.id,
        step.rules as unknown as Parameters<LinodeApi['replaceFirewallRules']>[1],
      );
    }
    context.log.info(progressLine('network', step.do, performance.now() - startedAt));
  }
  if (vpcId === undefined || subnetId === undefined || firewallId === undefined) {
    throw new FiredrillError({ code: 'bug', what: 'the plan left the network incomplete' });
  }
  return { vpcId, subnetId, firewallId };
}

async function bringUp(machine: MachinePlan, network: Network, watch: Watch, context: ApplyContext): Promise<void> {
  const { environment, api, log, secrets } = context;
  const name = machine.node.name;
  const deadline = performance.now() + environment.linode.bootTimeoutMs;
  const left = () => Math.max(1, deadline - performance.now());
  let phase = 'start';
  const timed = async <T>(
    next: string,
    work: () => Promise<T>,
    detail: (value: T) => string = () => '',
  ): Promise<T> => {
    phase = next;
    const startedAt = performance.now();
    const value = await work();
    // A machine that was up already is worth no line.
    if (machine.settles || machine.steps.length > 0) {
      log.info(progressLine(name, next, performance.now() - startedAt, detail(value)));
    }
    return value;
  };
  try {
    let instance = machine.instance;
    for (const step of machine.steps) {
      instance = await timed(
        step.do,
        () => applyStep(step, machine, instance, network, context),
        (made) => `Linode ${made.id}`,
      );
    }
    if (instance === undefined) throw new FiredrillError({ code: 'bug', what: 'the plan left no machine' });
    const { id } = instance;
    const running = machine.settles
      ? await timed(
          'boot',
          () => waitRunning(environment, id, watch, api, left()),
          (seen) => seen.ipv4.join(' '),
        )
      : instance;
    const ssh = await timed('ssh', () => waitSsh(environment, machine, running, secrets, context.connect, left()));
    try {
      await timed('cloud-init', () => waitCloudInit(ssh, left()));
    } finally {
      ssh.close();
    }
  } catch (error) {
    const known = asFiredrillError(error, { code: 'remote' });
    throw new FiredrillError({ ...known.facts, node: name, phase });
  }
}

async function applyStep(
  step: MachineStep,
  machine: MachinePlan,
  instance: Instance | undefined,
  network: Network,
  context: ApplyContext,
): Promise<Instance> {
  const { api } = context;
  if (step.do === 'create') return await createMachine(step, machine, network, context);
  if (instance === undefined) throw new FiredrillError({ code: 'bug', what: `nothing to ${step.do}` });
  if (step.do === 'tag') return await api.updateTags(instance.id, step.tags);
  if (step.do === 'guard') await api.addFirewallDevice(network.firewallId, instance.id);
  if (step.do === 'boot') await api.bootInstance(instance.id);
  return instance;
}

async function createMachine(
  step: Extract<MachineStep, { do: 'create' }>,
  { node }: MachinePlan,
  network: Network,
  { environment, api, userData }: ApplyContext,
): Promise<Instance> {
  const vlan = vlanOf(environment, node);
  return await api.createInstance({
    label: step.label,
    region: environment.linode.region,
    type: step.type,
    image: environment.linode.image,
    tags: [...step.tags],
    // Linode wants one. Nobody is told: root can't log in, and sshd takes no passwords.
    root_pass: randomBytes(48).toString('base64url'),
    booted: true,
    firewall_id: network.firewallId,
    interface_generation: 'legacy_config',
    interfaces: [
      { purpose: 'public', primary: true },
      { purpose: 'vpc', vpc_id: network.vpcId, subnet_id: network.subnetId, ipv4: { vpc: node.address } },
      ...(vlan === undefined ? [] : [vlan]),
    ],
    metadata: { user_data: Buffer.from(userData(node).reveal()).toString('base64') },
  });
}
