import { nodesOf } from './environment/nodes.ts';
import type { Environment } from './environment/schema.ts';

/** The command that a load balancer is asked with. Every one of them has the address on lo, and who holds it on eth2 too. */
export function sharedCommand(address: string): string {
  return `ip -o -4 address show to ${address}/32 up`;
}

/** Whether who printed that holds it. Pure. */
export function holdsShared(printed: string): boolean {
  return printed.split('\n').some((line) => line !== '' && !/^\d+: lo\s/.test(line));
}

/** What is known of one load balancer: undefined when it could not tell. */
export interface Holding {
  readonly holdsShared?: boolean | undefined;
}

/** Why the shared address is not where it should be, on exactly one load balancer; undefined when it is, or none is shared. Pure. */
export function sharedTrouble(environment: Environment, facts: ReadonlyMap<string, Holding>): string | undefined {
  const address = environment.haproxy.shared?.address;
  if (address === undefined) return undefined;
  const told = nodesOf(environment, 'lb').filter((node) => facts.get(node.name)?.holdsShared !== undefined);
  const holders = told.filter((node) => facts.get(node.name)?.holdsShared).map((node) => node.name);
  if (holders.length === 1) return undefined;
  return holders.length === 0 ? `nobody holds ${address}` : `${holders.join(' and ')} both hold ${address}`;
}

/** The load balancer that holds the shared address; undefined when none is shared, or nobody does. Pure. */
export function holderOf(environment: Environment, facts: ReadonlyMap<string, Holding>): string | undefined {
  return nodesOf(environment, 'lb').find((node) => facts.get(node.name)?.holdsShared)?.name;
}
