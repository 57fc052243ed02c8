import { FiredrillError } from '../errors.ts';
import type { Environment, EnvironmentNode, Role } from './schema.ts';

/** The nodes that have a role, in the order of the environment file. */
export function nodesOf(environment: Environment, role: Role): EnvironmentNode[] {
  return environment.nodes.filter((node) => node.roles.includes(role));
}

/** The node of that name. Throws a FiredrillError (`config`) that lists the names there are. */
export function nodeNamed(environment: Environment, name: string): EnvironmentNode {
  const node = environment.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  const names = environment.nodes.map((candidate) => candidate.name).join(', ');
  throw new FiredrillError({ code: 'config', what: `no node is called ${name}`, fix: `Use one of ${names}` });
}

/** The Redis node that starts as primary when no Sentinel knows better. */
export function initialPrimary(environment: Environment): EnvironmentNode {
  const node = environment.nodes.find((candidate) => candidate.primary);
  if (node === undefined)
    throw new FiredrillError({ code: 'bug', what: 'a checked environment has no initial primary' });
  return node;
}
