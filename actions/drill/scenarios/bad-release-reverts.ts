import type { Scenario } from './scenario.ts';

/** The first node that gets it takes itself back, and no other is touched. */
export const badReleaseReverts: Scenario = {
  name: 'bad-release-reverts',
  breaks: 'a release whose C service never gets ready is rolled out; its gate refuses it',
  steps: () => [],
  deploys: 'bad',
  failovers: 0,
  recovery: 'stall',
  budgetMs: 1000,
  mayFail: 0,
  alert: null,
};
