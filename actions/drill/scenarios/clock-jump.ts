import { unitOf } from '../fleet.ts';
import { clockFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** It goes into TILT, in which it watches and does nothing; it must say so, and the others are enough. */
export const clockJump: Scenario = {
  name: 'clock-jump',
  breaks: 'the clock of one Sentinel jumps by five minutes (simulated)',
  steps: (state) => [{ nodes: state.nodes.sentinel.slice(-1), ...clockFault(unitOf.sentinel) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 500,
  mayFail: 0,
  alert: 'SentinelTilt',
};
