import { unitOf } from '../../core/units.ts';
import { replicasOf, unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The second comes within the time in which Sentinel does not try again. */
export const doubleFailover: Scenario = {
  name: 'double-failover',
  breaks: 'kill -9 of the primary Redis, and of the one that is promoted, as soon as it is announced; both stay down',
  steps: (state) => [
    { nodes: [state.primary], ...unitFault('kill', unitOf.redis) },
    { nodes: replicasOf(state), ...unitFault('kill', unitOf.redis), when: { on: 'new primary' } },
  ],
  failovers: 2,
  recovery: 'return',
  budgetMs: 5000,
  mayFail: Number.POSITIVE_INFINITY,
  alert: 'WritesBlocked',
};
