import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A crash that systemd mends in place, unless a replica takes over first. */
export const redisPrimaryCrash: Scenario = {
  name: 'redis-primary-crash',
  breaks: 'kill -9 of the primary Redis; systemd starts it again',
  steps: (state) => [{ nodes: [state.primary], ...unitFault('crash', unitOf.redis) }],
  failovers: 'at most 1',
  recovery: 'fault',
  budgetMs: 1200,
  mayFail: 0,
  alert: null,
};
