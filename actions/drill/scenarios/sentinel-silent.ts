import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The others keep the majority, and what it believes when it comes back must move nobody. */
export const sentinelSilent: Scenario = {
  name: 'sentinel-silent',
  breaks: 'one Sentinel machine is silent for 8 s: nothing comes in or goes out',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...silentFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 300,
  mayFail: 0,
  alert: 'any',
};
