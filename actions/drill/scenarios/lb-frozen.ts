import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Clients are connected and get no answer; when it goes on, it still believes that it has the address. */
export const lbFrozen: Scenario = {
  name: 'lb-frozen',
  breaks:
    'the machine of the load balancer that has the shared address is frozen for 8 s: no process runs, and its kernel still confirms packets',
  steps: (state) => [{ nodes: [state.balancer], ...frozenFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1200,
  mayFail: { dueWithinMs: 1200 }, // what was sent to it until the other one has taken over
  alert: 'any',
};
