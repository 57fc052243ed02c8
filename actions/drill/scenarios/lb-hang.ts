import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Clients are connected and get no answer, until the check beside it kills it: then they are told, and the address moves. */
export const lbHang: Scenario = {
  name: 'lb-hang',
  breaks: 'SIGSTOP of HAProxy on the load balancer that has the shared address; it is killed and started again',
  steps: (state) => [{ nodes: [state.balancer], ...unitFault('hang', unitOf.lb) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 2000,
  mayFail: { dueWithinMs: 1500 }, // what was sent to it until it was killed
  alert: null,
};
