import { powerOff } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The machine is gone without a word: no reset connection, no handover, no sync. */
export const redisPrimaryPowerOff: Scenario = {
  name: 'redis-primary-power-off',
  breaks: "the power of the primary's machine is cut; it is booted again afterwards",
  steps: (state) => [{ nodes: [state.primary], ...powerOff }],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
