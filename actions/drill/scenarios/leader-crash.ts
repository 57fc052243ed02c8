import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The failover is begun and not ended; another Sentinel has to begin again. */
export const leaderCrash: Scenario = {
  name: 'leader-crash',
  breaks: 'SIGSTOP of the primary Redis, and kill -9 of the Sentinel that is elected to lead the failover',
  steps: (state) => [
    { nodes: [state.primary], ...unitFault('hang', unitOf.redis) },
    { nodes: state.nodes.sentinel, ...unitFault('kill', unitOf.sentinel), when: { on: 'leader' } },
  ],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 12000, // twice sentinel.failoverTimeoutMs, detection and the second attempt
  mayFail: Number.POSITIVE_INFINITY,
  alert: 'RedisPrimaryDown',
};
