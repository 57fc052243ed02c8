import { powerOff } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Nobody is told that the machine is gone. */
export const appPowerOff: Scenario = {
  name: 'app-power-off',
  breaks: 'the power of one app machine is cut; it is booted again afterwards',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...powerOff }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 1000,
  mayFail: 5, // what is in flight on it, and not safe to be sent again
  alert: 'BackendDown',
};
