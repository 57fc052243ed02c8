import type { Environment, ScenarioName } from '../../core/environment/schema.ts';
import type { Log } from '../../core/log.ts';
import type { DrillInputs } from '../inputs.ts';
import type { RunReport } from '../report/data.ts';
import { budgetOf } from '../run-scenario.ts';
import { scenarios } from '../scenarios/index.ts';
import { type KeptRun, keepRun, readRuns, runsOf } from './file.ts';
import type { Rounds } from './rounds.ts';

/** What is left to run. */
export interface Plan extends Rounds {
  /** What an earlier drill of that commit measured, and this one goes on with. */
  readonly earlier: readonly KeptRun[];
}

/** The runs of each scenario, in the order of time. */
export type Runs = ReadonlyMap<ScenarioName, readonly RunReport[]>;

/**
 * What runs, and where it is kept. Earlier runs count only for who says how many he wants: a plain drill measures what is now.
 * None counts when the commit is unknown: they may be another's.
 * @param drill the deployed commit, null when nobody could tell, and when this drill began
 */
export function planRuns(
  { repeat, runs: path }: Pick<DrillInputs, 'repeat' | 'runs'>,
  environment: Environment,
  { commit, at }: { readonly commit: string | null; readonly at: string },
  names: readonly ScenarioName[],
  log: Log,
): Plan {
  const what = { environment: environment.name, commit };
  const isAsked = (run: KeptRun): boolean => names.some((name) => name === run.scenario);
  const earlier = repeat === undefined || commit === null ? [] : runsOf(readRuns(path), what).filter(isAsked);
  if (earlier.length > 0) log.info(`${earlier.length} runs of this commit are in ${path} already, and count`);
  return {
    earlier,
    names,
    repeat: repeat ?? environment.drill.repeat,
    before: (name) => earlier.filter((run) => run.scenario === name).length,
    keep(scenario, run) {
      const budgetMs = budgetOf(scenarios[scenario], environment.drill);
      keepRun(path, { version: 1, at, ...what, scenario, budgetMs, run });
    },
  };
}

/** The earlier runs, then those. Pure. */
export function withEarlier({ earlier, names }: Plan, runs: Runs): Runs {
  const before = (name: ScenarioName) => earlier.filter((run) => run.scenario === name).map((each) => each.run);
  return new Map(names.map((name) => [name, [...before(name), ...(runs.get(name) ?? [])]]));
}
