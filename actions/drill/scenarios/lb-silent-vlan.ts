import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** It reaches the servers, and no client reaches it; the other one hears nothing of it and takes the address over. */
export const lbSilentVlan: Scenario = {
  name: 'lb-silent-vlan',
  breaks: 'the VLAN link of the load balancer that has the shared address is silent for 8 s',
  steps: (state) => [{ nodes: [state.balancer], ...silentFault('eth2') }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1200,
  mayFail: { dueWithinMs: 1200 }, // what was sent to it until the other one has taken over
  alert: 'any',
};
