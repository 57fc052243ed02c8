import { silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Somebody else is promoted meanwhile. It comes back as a primary, and may take no write as one. */
export const redisPrimarySilent: Scenario = {
  name: 'redis-primary-silent',
  breaks: "the primary's machine is silent for 8 s: nothing comes in or goes out",
  steps: (state) => [{ nodes: [state.primary], ...silentFault() }],
  failovers: 1,
  recovery: 'stall',
  budgetMs: 1500,
  mayFail: 0,
  alert: 'FailoverHappened',
};
