import { unitOf } from '../../core/units.ts';
import { replicasOf, unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The primary waits for its acknowledgements no longer than it must. */
export const redisReplicaKill: Scenario = {
  name: 'redis-replica-kill',
  breaks: 'kill -9 of one replica, which stays down',
  steps: (state) => [{ nodes: replicasOf(state).slice(-1), ...unitFault('kill', unitOf.redis) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 1500,
  mayFail: 0,
  alert: 'ReplicaMissing',
};
