import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** What a careless administrator or a package upgrade does. */
export const redisPrimaryStop: Scenario = {
  name: 'redis-primary-stop',
  breaks: 'an orderly stop of the primary Redis, which stays down',
  steps: (state) => [{ nodes: [state.primary], ...unitFault('stop', unitOf.redis) }],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 600,
  mayFail: 0,
  alert: 'FailoverHappened',
};
