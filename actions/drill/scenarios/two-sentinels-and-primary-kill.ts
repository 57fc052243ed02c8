import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** No majority, no promotion: the service waits and refuses, and is back when they are. */
export const twoSentinelsAndPrimaryKill: Scenario = {
  name: 'two-sentinels-and-primary-kill',
  breaks: 'kill -9 of two Sentinels and of the primary Redis, which stay down',
  steps: (state) => [
    { nodes: state.nodes.sentinel.slice(-2), ...unitFault('kill', unitOf.sentinel) },
    { nodes: [state.primary], ...unitFault('kill', unitOf.redis) },
  ],
  failovers: 0,
  recovery: 'return',
  budgetMs: 5000,
  mayFail: Number.POSITIVE_INFINITY,
  alert: 'RedisPrimaryDown',
};
