import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** As a hypervisor pauses it: what is sent to it is confirmed, and nobody answers. */
export const appFrozen: Scenario = {
  name: 'app-frozen',
  breaks: 'one app machine is frozen for 8 s: no process runs, and its kernel still confirms packets',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...frozenFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: 'any',
};
