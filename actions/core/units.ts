import type { Environment, EnvironmentNode, Role } from './environment/schema.ts';

/** The unit that carries a role. */
export const unitOf: Readonly<Record<Role, string>> = {
  redis: 'redis-server',
  sentinel: 'redis-sentinel',
  app: 'sessiond',
  lb: 'haproxy',
  monitor: 'prometheus',
};

/** The units without which a node does not do what its roles say: one for each, and keepalived where an address is shared. */
export function unitsOf({ haproxy }: Environment, { roles }: Pick<EnvironmentNode, 'roles'>): string[] {
  const shares = haproxy.shared !== undefined && roles.includes('lb');
  return [...roles.map((role) => unitOf[role]), ...(shares ? ['keepalived'] : [])];
}
