import { netFault, others, replicasOf } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** As before, and nobody is told. */
export const redisReplicaPartition: Scenario = {
  name: 'redis-replica-partition',
  breaks: 'one replica is cut off from every other Redis and the Sentinels',
  steps: (state) => {
    const replica = replicasOf(state).slice(-1);
    const peers = others([...state.nodes.redis, ...state.nodes.sentinel], replica);
    return [{ nodes: replica, ...netFault(state, ['cut', 'both'], peers) }];
  },
  failovers: 0,
  recovery: 'fault',
  budgetMs: 2500,
  mayFail: 0,
  alert: 'ReplicationLag',
};
