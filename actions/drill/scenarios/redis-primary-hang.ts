import { unitOf } from '../fleet.ts';
import type { Scenario } from './scenario.ts';

/** A stuck disk or a swapping machine. Nobody is told; only silence shows it. */
export const redisPrimaryHang: Scenario = {
  name: 'redis-primary-hang',
  breaks: 'SIGSTOP of the primary Redis: its connections stay open and nothing answers',
  target: (state) => state.primary,
  inject: { script: 'unit.sh', args: ['hang', unitOf.redis] },
  undo: { script: 'unit.sh', args: ['heal', unitOf.redis] },
  failover: 'expected',
};
