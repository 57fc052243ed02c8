import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Without a majority nothing can be promoted, and nothing has to be. */
export const sentinelTwoKilled: Scenario = {
  name: 'sentinel-two-killed',
  breaks: 'kill -9 of two Sentinels, which stay down',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-2), ...unitFault('kill', unitOf.sentinel) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 500,
  mayFail: 0,
  alert: 'NoQuorum',
};
