import { netFault, others } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A broken cable or a wrong route: the primary hears the others, and they do not hear it. */
export const redisPrimaryPartitionOneWay: Scenario = {
  name: 'redis-primary-partition-one-way',
  breaks: 'packets of the primary to the other Redis and the Sentinels are dropped; the other way they arrive',
  steps: (state) => {
    const peers = others([...state.nodes.redis, ...state.nodes.sentinel], [state.primary]);
    return [{ nodes: [state.primary], ...netFault(state, ['cut', 'out'], peers) }];
  },
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
