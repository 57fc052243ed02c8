import type { Scenario } from './scenario.ts';

/** Restarts of every service, a reload of the load balancer and two planned handovers, and no client may lose a request. */
export const rolloutUnderLoad: Scenario = {
  name: 'rollout-under-load',
  breaks: 'a release with a changed comment for every role is rolled out, and then the deployed one again',
  steps: () => [],
  deploys: 'changed',
  failovers: 'any',
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: null,
};
