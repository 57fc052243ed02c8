import type { Scenario } from './scenario.ts';

/** The load balancer must send everybody to the others, at once. */
export const appKill: Scenario = {
  name: 'app-kill',
  breaks: 'kill -9 of the C service on one app node; systemd starts it again',
  target: (state) => state.nodes.app[0] ?? '',
  inject: { script: 'unit.sh', args: ['crash', 'sessiond'] },
  undo: { script: 'unit.sh', args: ['heal', 'sessiond'] },
  failover: 'forbidden',
};
