import { unitOf } from '../../core/units.ts';
import { pauseFault, unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

const pauseMs = 5000;

/** Their host stood still: each takes it for a jump of its clock, and in TILT (sentinel.tiltMs) none promotes anybody. */
export const sentinelsPausedThenPrimaryKill: Scenario = {
  name: 'sentinels-paused-then-primary-kill',
  breaks: 'all Sentinels are paused for 5 s; as soon as they run again the primary Redis is killed and stays down',
  steps: (state) => [
    { nodes: state.nodes.sentinel, ...pauseFault(unitOf.sentinel, pauseMs), when: { beforeMs: pauseMs + 200 } },
    { nodes: [state.primary], ...unitFault('kill', unitOf.redis) },
  ],
  failovers: 1,
  recovery: 'fault',
  budgetMs: 5000,
  mayFail: 0,
  alert: 'FailoverHappened',
};
