import { netFault, others } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Below the threshold: everybody gets slower, and nobody may be declared dead for it. */
export const packetLoss: Scenario = {
  name: 'packet-loss',
  breaks: '2 % of the packets between the primary and its replicas, the Sentinels and the services are lost',
  steps: (state) => {
    const peers = others([...state.nodes.redis, ...state.nodes.sentinel, ...state.nodes.app], [state.primary]);
    return [{ nodes: [state.primary], ...netFault(state, ['loss', '2'], peers) }];
  },
  failovers: 0,
  recovery: 'stall',
  budgetMs: 3000,
  mayFail: 0,
  alert: null,
};
