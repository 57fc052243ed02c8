import { unitOf } from '../fleet.ts';
import type { Scenario } from './scenario.ts';

/** A crash that systemd does not mend: the process is gone and its peers are told by a reset connection. */
export const redisPrimaryKill: Scenario = {
  name: 'redis-primary-kill',
  breaks: 'kill -9 of the primary Redis, which stays down',
  target: (state) => state.primary,
  inject: { script: 'unit.sh', args: ['kill', unitOf.redis] },
  undo: { script: 'unit.sh', args: ['heal', unitOf.redis] },
  failover: 'expected',
};
