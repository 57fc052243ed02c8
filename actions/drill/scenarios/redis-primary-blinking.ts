import { blinkingFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Below the threshold: either nobody is promoted, or once for good. */
export const redisPrimaryBlinking: Scenario = {
  name: 'redis-primary-blinking',
  breaks: "the primary's machine is silent for 0.8 s and back for 0.8 s, five times",
  steps: (state) => [{ nodes: [state.primary], ...blinkingFault() }],
  failovers: 'at most 1',
  recovery: 'stall',
  budgetMs: 1500,
  mayFail: 0,
  alert: 'any',
};
