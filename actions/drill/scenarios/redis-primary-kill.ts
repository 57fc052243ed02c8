import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A crash that systemd does not mend: the process is gone and its peers are told by a reset connection. */
export const redisPrimaryKill: Scenario = {
  name: 'redis-primary-kill',
  breaks: 'kill -9 of the primary Redis, which stays down',
  steps: (state) => [{ nodes: [state.primary], ...unitFault('kill', unitOf.redis) }],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 1200,
  mayFail: 0,
  alert: 'FailoverHappened',
};
