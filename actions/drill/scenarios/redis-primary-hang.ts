import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A stuck disk or a swapping machine. Nobody is told; only silence shows it. */
export const redisPrimaryHang: Scenario = {
  name: 'redis-primary-hang',
  breaks: 'SIGSTOP of the primary Redis: its connections stay open and nothing answers',
  steps: (state) => [{ nodes: [state.primary], ...unitFault('hang', unitOf.redis) }],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
