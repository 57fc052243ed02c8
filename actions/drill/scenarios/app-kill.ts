import { unitOf } from '../fleet.ts';
import type { Scenario } from './scenario.ts';

/** The load balancer must send everybody to the others, at once. */
export const appKill: Scenario = {
  name: 'app-kill',
  breaks: 'kill -9 of the C service on one app node; systemd starts it again',
  target: (state) => state.nodes.app[0] ?? '',
  inject: { script: 'unit.sh', args: ['crash', unitOf.app] },
  undo: { script: 'unit.sh', args: ['heal', unitOf.app] },
  failover: 'forbidden',
};
