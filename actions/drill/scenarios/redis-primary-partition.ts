import { netFault, others } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Split brain: the services still reach the old primary, and soon the new one as well. */
export const redisPrimaryPartition: Scenario = {
  name: 'redis-primary-partition',
  breaks: 'the primary is cut off from the other Redis and the Sentinels; the services reach both sides',
  steps: (state) => {
    const peers = others([...state.nodes.redis, ...state.nodes.sentinel], [state.primary]);
    return [{ nodes: [state.primary], ...netFault(state, ['cut', 'both'], peers) }];
  },
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
