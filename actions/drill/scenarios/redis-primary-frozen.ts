import { frozenFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** What it was sent meanwhile waits in its kernel. When it goes on, it may answer none of that as a primary. */
export const redisPrimaryFrozen: Scenario = {
  name: 'redis-primary-frozen',
  breaks: "the primary's machine is frozen for 8 s: no process runs, and its kernel still confirms packets",
  steps: (state) => [{ nodes: [state.primary], ...frozenFault() }],
  failovers: 1,
  recovery: 'stall',
  budgetMs: 1500,
  mayFail: 0,
  alert: 'FailoverHappened',
};
