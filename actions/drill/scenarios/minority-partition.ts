import { netFault, others, replicasOf } from './faults.ts';
import type { Scenario } from './scenario.ts';

/**
 * The old primary still has a replica that acknowledges; the majority has the others. Either they promote one, or the service, which
 * reaches both sides, takes them out of the election and goes on where it was: what matters is that nothing is lost and nobody waits long.
 */
export const minorityPartition: Scenario = {
  name: 'minority-partition',
  breaks:
    'the primary and one replica are cut off from the other Redis and the Sentinels; the services reach both sides',
  steps: (state) => {
    const minority = [state.primary, ...replicasOf(state).slice(-1)];
    const peers = others([...state.nodes.redis, ...state.nodes.sentinel], minority);
    return [{ nodes: minority, ...netFault(state, ['cut', 'both'], peers) }];
  },
  failovers: 'any',
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'SentinelSeesPrimaryDown',
};
