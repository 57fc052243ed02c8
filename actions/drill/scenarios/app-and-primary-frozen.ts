import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A host that has both of them stands still. */
export const appAndPrimaryFrozen: Scenario = {
  name: 'app-and-primary-frozen',
  breaks:
    "one app machine and the primary's are frozen for 8 s: no process runs, and their kernels still confirm packets",
  steps: (state) => [{ nodes: [...state.nodes.app.slice(0, 1), state.primary], ...frozenFault() }],
  failovers: 1,
  recovery: 'stall',
  budgetMs: 2000,
  mayFail: 0,
  alert: 'FailoverHappened',
};
