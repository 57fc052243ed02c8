import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The other one takes the address over, and keeps it when this one comes back and believes that it has it. */
export const lbSilent: Scenario = {
  name: 'lb-silent',
  breaks:
    'the machine of the load balancer that has the shared address is silent for 8 s: nothing comes in or goes out',
  steps: (state) => [{ nodes: [state.balancer], ...silentFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1200,
  mayFail: { dueWithinMs: 1200 }, // what was sent to it until the other one has taken over
  alert: 'any',
};
