import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** A deploy, an administrator: what is in flight is answered first. */
export const appStop: Scenario = {
  name: 'app-stop',
  breaks: 'an orderly stop of the C service on one app node, which stays down',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...unitFault('stop', unitOf.app) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 300,
  mayFail: 0,
  alert: 'BackendDown',
};
