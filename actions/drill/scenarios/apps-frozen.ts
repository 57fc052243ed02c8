import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

const standstillMs = 3000;

/** Nobody is left to send anything to: it has to wait, and to be answered when they go on. */
export const appsFrozen: Scenario = {
  name: 'apps-frozen',
  breaks: 'all app machines are frozen for 3 s: no process runs, and their kernels still confirm packets',
  steps: (state) => [{ nodes: state.nodes.app, ...frozenFault(standstillMs) }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 4000,
  mayFail: 0,
  alert: 'any',
};
