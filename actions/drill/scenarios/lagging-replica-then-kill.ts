import { unitOf } from '../../core/units.ts';
import { netFault, replicasOf, unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The one that is behind may not be promoted over an acknowledged write. */
export const laggingReplicaThenKill: Scenario = {
  name: 'lagging-replica-then-kill',
  breaks: 'one replica is cut off from the primary alone, 2.5 s later the primary Redis is killed and stays down',
  steps: (state) => {
    const behind = replicasOf(state).slice(0, 1);
    const cut = netFault(state, ['cut', 'both'], [state.primary]);
    return [
      { nodes: behind, ...cut, when: { beforeMs: 2500 } },
      { nodes: [state.primary], ...unitFault('kill', unitOf.redis) },
    ];
  },
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
