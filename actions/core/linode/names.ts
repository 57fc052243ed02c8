import { createHash } from 'node:crypto';
import type { Environment, EnvironmentNode } from '../environment/schema.ts';
import type { Linode } from './api.ts';

/** What is needed of a Linode to find and reach a node. */
export type Instance = Pick<Linode, 'id' | 'label' | 'status' | 'type' | 'region' | 'tags' | 'ipv4'>;

/** All labels of ours begin so. */
export const labelHead = 'firedrill-';

/** A node's label on Linode, at most 64 characters, unique in an account. */
export function labelOf(environment: Environment, node: { readonly name: string }): string {
  return linodeLabel(`${labelHead}${environment.name}-${node.name}`, 64);
}

/** The label of an environment's VPC. */
export function vpcLabelOf(environment: Environment): string {
  return linodeLabel(`${labelHead}${environment.name}`, 64);
}

/** The label of an environment's firewall, which Linode wants shorter. */
export function firewallLabelOf(environment: Environment): string {
  return linodeLabel(`${labelHead}${environment.name}`, 32);
}

export function environmentTag(environment: Environment): string {
  return `env:${environment.name}`;
}

/** The tags by which a node is found again. */
export function tagsOf(environment: Environment, node: EnvironmentNode): string[] {
  return ['firedrill', environmentTag(environment), `node:${node.name}`, ...node.roles.map((role) => `role:${role}`)];
}

/** The instances that are this node: by label, or by tags when somebody changed the label. */
export function instancesOf(
  environment: Environment,
  node: EnvironmentNode,
  instances: readonly Instance[],
): Instance[] {
  const label = labelOf(environment, node);
  return instances.filter(
    (each) =>
      each.label === label ||
      ['firedrill', environmentTag(environment), `node:${node.name}`].every((tag) => each.tags.includes(tag)),
  );
}

/** Linode refuses long labels and two hyphens in a row: such a one is cut, and made unique again by a hash of the whole. */
function linodeLabel(text: string, longest: number): string {
  if (text.length <= longest && !text.includes('--')) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  const head = text
    .replace(/-{2,}/g, '-')
    .slice(0, longest - 9)
    .replace(/-$/, '');
  return `${head}-${hash}`;
}
