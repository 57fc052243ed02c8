import { unitOf } from '../fleet.ts';
import type { Scenario } from './scenario.ts';

/** What a careless administrator or a package upgrade does. */
export const redisPrimaryStop: Scenario = {
  name: 'redis-primary-stop',
  breaks: 'an orderly stop of the primary Redis, which stays down',
  target: (state) => state.primary,
  inject: { script: 'unit.sh', args: ['stop', unitOf.redis] },
  undo: { script: 'unit.sh', args: ['heal', unitOf.redis] },
  failover: 'expected',
};
