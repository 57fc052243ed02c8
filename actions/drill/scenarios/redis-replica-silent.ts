import { replicasOf, silentFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The primary waits for its acknowledgements no longer than it must, and takes it back afterwards. */
export const redisReplicaSilent: Scenario = {
  name: 'redis-replica-silent',
  breaks: "one replica's machine is silent for 8 s: nothing comes in or goes out",
  steps: (state) => [{ nodes: replicasOf(state).slice(-1), ...silentFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 500,
  mayFail: 0,
  alert: 'any',
};
