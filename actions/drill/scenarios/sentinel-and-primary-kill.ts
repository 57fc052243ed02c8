import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A rack: what remains is exactly the quorum. */
export const sentinelAndPrimaryKill: Scenario = {
  name: 'sentinel-and-primary-kill',
  breaks: 'kill -9 of one Sentinel and of the primary Redis, which stay down',
  steps: (state) => [
    { nodes: state.nodes.sentinel.slice(-1), ...unitFault('kill', unitOf.sentinel) },
    { nodes: [state.primary], ...unitFault('kill', unitOf.redis) },
  ],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 2800,
  mayFail: 0,
  alert: 'FailoverHappened',
};
