import { unitOf } from '../../core/units.ts';
import { unitFault } from './faults.ts';
import type { Scenario } from './scenario.ts';

/** Its connections stay open and nothing answers, until systemd's watchdog kills it: then what it has is sent to another one. */
export const appHang: Scenario = {
  name: 'app-hang',
  breaks: 'SIGSTOP of the C service on one app node; systemd kills it and starts it again',
  steps: (state) => [{ nodes: state.nodes.app.slice(0, 1), ...unitFault('hang', unitOf.app) }],
  failovers: 0,
  recovery: 'fault',
  budgetMs: 1000,
  mayFail: 5, // what is in flight on it, and not safe to be sent again
  alert: null,
};
