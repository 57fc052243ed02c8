import { powerOff } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A power cut of the whole place: everything comes back by itself, and as it was. */
export const fleetColdStart: Scenario = {
  name: 'fleet-cold-start',
  breaks: 'the power of all machines is cut at once; all are booted again',
  steps: (state) => [{ nodes: Object.keys(state.addresses), ...powerOff }],
  failovers: 'any',
  recovery: 'return',
  budgetMs: 60000,
  mayFail: Number.POSITIVE_INFINITY,
  alert: null,
};
