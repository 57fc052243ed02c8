import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** The others keep the majority, so no client may notice and nothing may be promoted. */
export const sentinelKill: Scenario = {
  name: 'sentinel-kill',
  breaks: 'kill -9 of one Sentinel, which stays down',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...unitFault('kill', unitOf.sentinel) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 500,
  mayFail: 0,
  alert: 'SentinelDown',
};
