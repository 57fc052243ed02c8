import { blinkingFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** It loses everybody, again and again, and alone it can do nothing. */
export const sentinelBlinking: Scenario = {
  name: 'sentinel-blinking',
  breaks: 'one Sentinel machine is silent for 0.8 s and back for 0.8 s, five times',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...blinkingFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 300,
  mayFail: 0,
  alert: 'any',
};
