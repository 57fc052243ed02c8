import { frozenFault, replicasOf } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Its connections stay open, and it acknowledges nothing. */
export const redisReplicaFrozen: Scenario = {
  name: 'redis-replica-frozen',
  breaks: "one replica's machine is frozen for 8 s: no process runs, and its kernel still confirms packets",
  steps: (state) => [{ nodes: replicasOf(state).slice(-1), ...frozenFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 500,
  mayFail: 0,
  alert: 'any',
};
