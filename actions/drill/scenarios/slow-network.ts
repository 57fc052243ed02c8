import { netFault, replicasOf } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Below the threshold: everybody gets slower, and nobody may be declared dead for it. */
export const slowNetwork: Scenario = {
  name: 'slow-network',
  breaks: 'the network of the primary is slow (netem: 10 ms more; without it, tbf: 10 Mbit/s)',
  steps: (state) => [{ nodes: [state.primary], ...netFault(state, ['slow'], replicasOf(state).slice(0, 1)) }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: null,
};
