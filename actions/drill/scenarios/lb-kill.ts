import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The other one takes the address over at once; until then connections to it are refused. */
export const lbKill: Scenario = {
  name: 'lb-kill',
  breaks: 'kill -9 of HAProxy on the load balancer that has the shared address; it stays down',
  steps: (state) => [{ nodes: [state.balancer], ...unitFault('kill', unitOf.lb) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 500,
  mayFail: { dueWithinMs: 500 }, // what it had, and who came before the address had moved
  alert: 'LoadBalancerDown',
};
