import { defineConfig } from 'vitest/config';

/** One project a layer, so that `npm run test:unit` is the fast part. One layer after the other: what one loads, another measures. */
export default defineConfig({
  test: {
    root: new URL('..', import.meta.url).pathname,
    // Most of what the tests do is wait: more workers than processors. The fleet's run one at a time all the same.
    maxWorkers: 4,
    reporters: ['default', new URL('./tally-reporter.ts', import.meta.url).pathname],
    projects: [
      // The unit tests keep nothing global, so that a worker loads each module once.
      { test: { name: 'unit', isolate: false, include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 } },
      {
        test: {
          name: 'contract',
          include: ['test/contract/**/*.test.ts'],
          testTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'c',
          include: ['test/c/**/*.test.ts'],
          testTimeout: 1_600_000,
          hookTimeout: 900_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'fleet',
          include: ['test/fleet/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
      // Half an hour of broken rollouts: `npm run test:faults`, not part of `npm test`.
      {
        test: {
          name: 'faults',
          include: ['test/faults/**/*.test.ts'],
          globalSetup: [new URL('./faults/lab.ts', import.meta.url).pathname],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
