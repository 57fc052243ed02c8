import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Nobody is told. What was sent to it and not confirmed goes to another one, and so does the rest when the check has failed. */
export const appSilent: Scenario = {
  name: 'app-silent',
  breaks: 'one app machine is silent for 8 s: nothing comes in or goes out',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...silentFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: 'any',
};
