import { blinkingFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The address must not go to and fro with it. */
export const lbBlinking: Scenario = {
  name: 'lb-blinking',
  breaks:
    'the machine of the load balancer that has the shared address is silent for 0.8 s and back for 0.8 s, five times',
  steps: (state) => [{ nodes: [state.balancer], ...blinkingFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1200,
  mayFail: { dueWithinMs: 1200 }, // what was sent to it until the other one has taken over
  alert: 'any',
};
