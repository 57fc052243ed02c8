import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Clients reach it, and it reaches no server: it must give the address up. */
export const lbSilentInside: Scenario = {
  name: 'lb-silent-inside',
  breaks: 'the link to the servers of the load balancer that has the shared address is silent for 8 s',
  steps: (state) => [{ nodes: [state.balancer], ...silentFault(state.addresses[state.nodes.app[0] ?? '']) }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1200,
  mayFail: { dueWithinMs: 1200 }, // what was sent to it until the other one has taken over
  alert: 'any',
};
