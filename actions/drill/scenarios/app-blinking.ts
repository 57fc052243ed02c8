import { blinkingFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Whoever has just come back to it loses it again. */
export const appBlinking: Scenario = {
  name: 'app-blinking',
  breaks: 'one app machine is silent for 0.8 s and back for 0.8 s, five times',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...blinkingFault() }],
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: 'any',
};
