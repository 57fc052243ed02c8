import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Who is primary is run-time state: a rollout of the same commit leaves the new one alone, and everything else. */
export const reapplyAfterFailover: Scenario = {
  name: 'reapply-after-failover',
  breaks: 'the primary Redis is restarted and hands over; then the deployed commit is rolled out again',
  steps: (state) => [{ nodes: [state.primary], ...unitFault('restart', unitOf.redis), when: { beforeMs: 10_000 } }],
  movesBefore: true,
  deploys: 'same',
  failovers: 0,
  recovery: 'stall',
  budgetMs: 500,
  mayFail: 0,
  alert: null,
};
