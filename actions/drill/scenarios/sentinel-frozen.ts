import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** When it goes on, all that it knows is old; it must look before it acts. */
export const sentinelFrozen: Scenario = {
  name: 'sentinel-frozen',
  breaks: 'one Sentinel machine is frozen for 8 s: no process runs, and its kernel still confirms packets',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...frozenFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 300,
  mayFail: 0,
  alert: 'any',
};
