import { unitOf } from '../../core/units.ts';
import { pauseFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

const jumpMs = 3000;

/**
 * It goes into TILT, in which it watches and does nothing; it must say so, and the others are enough. Simulated: a Sentinel knows a
 * jump from the time between two rounds of its timer, and a pause makes that as long. (libfaketime, between it and the system's clock,
 * hangs at its start: it and Redis' jemalloc wait for each other.)
 */
export const clockJump: Scenario = {
  name: 'clock-jump',
  breaks: 'one Sentinel sees its clock jump by three seconds (simulated: it is paused for as long)',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...pauseFault(unitOf.sentinel, jumpMs) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 500,
  mayFail: 0,
  alert: 'SentinelTilt',
};
