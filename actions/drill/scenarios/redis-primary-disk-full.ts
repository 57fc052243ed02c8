import { diskFull } from './faults.ts';
import type { Scenario } from './scenario.ts';

/**
 * Redis runs and answers reads, and refuses writes and PING with MISCONF: so Sentinel takes it for down, and the service waits for
 * the next primary.
 */
export const redisPrimaryDiskFull: Scenario = {
  name: 'redis-primary-disk-full',
  breaks: "the disk under the primary's data is filled up to what is kept for root",
  steps: (state) => [{ nodes: [state.primary], ...diskFull }],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
