import type { Inventory } from '../core/inventory.ts';
import type { MachinePlan, MachineStep, NetworkStep, ProvisionPlan } from './plan.ts';

/** The plan as lines for the log. */
export function describePlan(plan: ProvisionPlan): string[] {
  const machines = plan.machines.flatMap((machine) => machine.steps.map((step) => machineLine(machine, step)));
  const unchanged = plan.machines.filter((machine) => machine.steps.length === 0);
  const waiting = unchanged.filter((machine) => machine.settles);
  const lines = [...plan.network.map(networkLine), ...machines];
  return [
    `plan for ${plan.environment}: ${lines.length === 0 ? 'nothing to change' : `${lines.length} changes`}`,
    ...lines.map((line) => `  ${line}`),
    ...waiting.map(({ node, instance }) => `  wait     ${node.name}: Linode ${instance?.id} is ${instance?.status}`),
    ...(unchanged.length > waiting.length
      ? [`  keep     ${unchanged.length - waiting.length} machines as they are`]
      : []),
  ];
}

/** The job summary: what each node is, and what was or would be done. */
export function summaryMarkdown(plan: ProvisionPlan, inventory: Inventory | undefined, applied: boolean): string {
  const rows = plan.machines.map(({ node, instance, steps }) => {
    const found = inventory?.nodes.find((each) => each.name === node.name);
    const cells = [
      node.name,
      node.roles.join(', '),
      String(found?.linodeId ?? instance?.id ?? ''),
      node.address,
      found?.publicAddress ?? '',
      steps.length === 0 ? 'unchanged' : steps.map((step) => (applied ? past[step.do] : step.do)).join(', '),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [
    `### Provision: ${plan.environment}${applied ? '' : ' (plan only)'}`,
    '',
    '| node | roles | Linode | private | public | done |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    ...plan.network.map((step) => `- ${networkLine(step)}`),
    ...plan.warnings.map((warning) => `- Warning: ${warning.what}. ${warning.fix}`),
    '',
  ].join('\n');
}

const past: Record<MachineStep['do'], string> = {
  create: 'created',
  boot: 'booted',
  tag: 'tagged',
  guard: 'firewalled',
};

function machineLine({ node, instance }: MachinePlan, step: MachineStep): string {
  switch (step.do) {
    case 'create':
      return `create   ${node.name}: ${step.type}, ${node.address}, ${node.roles.join(' and ')}`;
    case 'boot':
      return `boot     ${node.name}: Linode ${instance?.id} is ${instance?.status}`;
    case 'tag':
      return `tag      ${node.name}: ${step.tags.join(' ')}`;
    case 'guard':
      return `firewall ${node.name}: attach Linode ${instance?.id}`;
  }
}

function networkLine(step: NetworkStep): string {
  switch (step.do) {
    case 'create-vpc':
      return `create   VPC ${step.label} in ${step.region} with the subnet ${step.subnet}`;
    case 'create-subnet':
      return `create   the subnet ${step.subnet} in VPC ${step.vpcId}`;
    case 'create-firewall':
      return `create   firewall ${step.label} with ${step.rules.inbound.length} rules`;
    case 'update-firewall':
      return `update   the rules of firewall ${step.id}`;
  }
}
