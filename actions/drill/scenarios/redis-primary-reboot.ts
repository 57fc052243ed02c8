import { reboot } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A kernel update. */
export const redisPrimaryReboot: Scenario = {
  name: 'redis-primary-reboot',
  breaks: "an orderly reboot of the primary's machine",
  steps: (state) => [{ nodes: [state.primary], ...reboot }],
  failovers: 'at most 1',
  recovery: 'fault',
  budgetMs: 600,
  mayFail: 0,
  alert: null,
};
