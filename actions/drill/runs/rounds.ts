import type { ScenarioName } from '../../core/environment/schema.ts';
import { progressLine } from '../../core/log.ts';
import type { Fleet } from '../fleet.ts';
import { type RunReport, runReport } from '../report/data.ts';
import { isBroken, type RunContext, runScenario } from '../run-scenario.ts';
import { scenarios } from '../scenarios/index.ts';

export interface Rounds {
  readonly names: readonly ScenarioName[];
  /** How often each has to have run in the end. */
  readonly repeat: number;
  /** How often it has run already. */
  readonly before: (name: ScenarioName) => number;
  /** Called with each run as it ends; not with what was never run. */
  readonly keep: (name: ScenarioName, run: RunReport) => void;
}

/**
 * Every scenario once, then again, so that a drill that is cut short has measured all of them about as often. After a run that left
 * the fleet broken, or a cancelled one, the others are not run, and say so. Gives this drill's own runs.
 */
export async function runRounds(fleet: Fleet, rounds: Rounds, rest: Omit<RunContext, 'fleet'>) {
  const { names, repeat, before, keep } = rounds;
  const done = new Map<ScenarioName, RunReport[]>(names.map((name) => [name, []]));
  const { requestsPerS } = fleet.environment.drill;
  let stopped: string | undefined;
  const one = async (name: ScenarioName): Promise<void> => {
    const result = await rest.log.group(name, () => runScenario({ fleet, ...rest }, scenarios[name]));
    const run = runReport(result, requestsPerS);
    done.get(name)?.push(run);
    rest.log.info(oneLine(name, run));
    if (isBroken(result) && !result.whole) stopped = `the fleet is not steady since ${name}`;
    if (rest.signal.aborted) stopped = 'cancelled';
    else keep(name, run);
  };
  for (let round = 1; round <= repeat; round += 1)
    for (const name of names) if (before(name) < round && stopped === undefined) await one(name);
  if (stopped === undefined) return done;
  for (const name of names) {
    const runs = done.get(name) ?? [];
    const notRun = { scenario: scenarios[name], reason: `not run: ${stopped}`, whole: true };
    if (before(name) + runs.length < repeat) runs.push(runReport(notRun, requestsPerS));
  }
  return done;
}

function oneLine(name: string, run: RunReport): string {
  const figures = `recovery ${run.recoveryMs ?? '-'} ms, ${run.failedRequests} of ${run.requests} requests failed, ${run.lostWrites} of ${run.ackedWrites} acknowledged writes lost`;
  const detail = run.reason === null ? figures : `${run.reason}; ${figures}`;
  return progressLine(name, run.ok ? 'ok' : 'RED', undefined, detail.replaceAll('\n', ' '));
}
