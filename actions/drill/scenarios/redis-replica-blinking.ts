import { blinkingFault, replicasOf } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** It must not count as one that acknowledges each time that it is back. */
export const redisReplicaBlinking: Scenario = {
  name: 'redis-replica-blinking',
  breaks: "one replica's machine is silent for 0.8 s and back for 0.8 s, five times",
  steps: (state) => [{ nodes: replicasOf(state).slice(-1), ...blinkingFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 500,
  mayFail: 0,
  alert: 'any',
};
