import type { ScenarioName } from '../../actions/core/environment/schema.ts';

/** When a drill is killed: a share of the time that a drill of that scenario takes (0 to 1). */
export interface Moment {
  readonly scenario: ScenarioName;
  readonly share: number;
}

/** Scenarios that break something in every way that there is: a process, a packet rule, a machine, a disk, a link, all processes. */
export const killedScenarios = [
  'redis-primary-kill',
  'redis-primary-hang',
  'redis-primary-partition',
  'redis-primary-disk-full',
  'redis-primary-power-off',
  'redis-primary-silent',
  'app-frozen',
  'sentinel-two-killed',
  'app-hang',
  'lagging-replica-then-kill',
] as const satisfies readonly ScenarioName[];

/**
 * The same moments for the same seed. They lie at random in equal parts of the drill, which come in a random order, so that however
 * few there are they cover all of it; the scenarios take turns. Pure.
 */
export function momentsOf(seed: number, count: number, scenarios: readonly ScenarioName[]): Moment[] {
  const random = generator(seed);
  const parts = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [parts[last], parts[other]] = [parts[other] as number, parts[last] as number];
  }
  return parts.map((part, index) => ({
    scenario: scenarios[index % scenarios.length] as ScenarioName,
    share: (part + random()) / count,
  }));
}

/** Numbers from 0 to 1, by a linear congruence (of Numerical Recipes): good enough to choose moments, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
