import { powerOff } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Nobody is told. Who waits for an answer waits on; whoever has sent something is told by the one that takes over. */
export const lbPowerOff: Scenario = {
  name: 'lb-power-off',
  breaks: 'the power of the load balancer that has the shared address is cut; it is booted again afterwards',
  steps: (state) => [{ nodes: [state.balancer], ...powerOff }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 2000,
  mayFail: { dueWithinMs: 1500 }, // what was sent to it until the other one has taken over
  alert: 'LoadBalancerDown',
};
