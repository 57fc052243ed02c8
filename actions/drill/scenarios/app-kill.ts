import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The load balancer must send everybody to the others, at once. */
export const appKill: Scenario = {
  name: 'app-kill',
  breaks: 'kill -9 of the C service on one app node; systemd starts it again',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...unitFault('crash', unitOf.app) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 300,
  mayFail: 5, // what is in flight on it, and not safe to be sent again
  alert: null,
};
