import { unitOf } from '../fleet.ts';
import type { Scenario } from './scenario.ts';

/** The others keep the majority, so no client may notice and nothing may be promoted. */
export const sentinelKill: Scenario = {
  name: 'sentinel-kill',
  breaks: 'kill -9 of one Sentinel, which stays down',
  target: (state) => state.nodes.sentinel.at(-1) ?? '',
  inject: { script: 'unit.sh', args: ['kill', unitOf.sentinel] },
  undo: { script: 'unit.sh', args: ['heal', unitOf.sentinel] },
  failover: 'forbidden',
};
