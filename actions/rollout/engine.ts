import type { EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { takeBack } from './back.ts';
import { changeNodes } from './change.ts';
import { withMore } from './failures.ts';
import { type Handover, handOver } from './hand-over-step.ts';
import type { Engine, State } from './state.ts';
import { isServing, orderSteps } from './steps.ts';

/** How far it came; filled as it goes, so that it is known after a failure too. */
export interface Progress {
  readonly handovers: Handover[];
  readonly bad: State['bad'];
  primary: EnvironmentNode;
}

/**
 * Applies the plans, whose releases are staged and validated on their nodes: step by step in the order of steps.ts, each node proved
 * dispensable before, healthy after, and confirmed. Throws a FiredrillError at the first step that fails: by then the node has gone back
 * to what it had, and so have the others of this run, the last one first. When it returns or throws, nothing of ours works on a node.
 */
export async function applyPlans(engine: Engine, progress: Progress): Promise<void> {
  const state: State = {
    engine,
    deployed: new Set([...engine.facts.values()].filter((each) => each.current !== undefined).map((each) => each.node)),
    serving: isServing(engine.facts),
    handovers: progress.handovers,
    bad: progress.bad,
    confirmed: [],
    proved: new Set(),
    primary: engine.primary,
    wrote: engine.facts.get(engine.primary.name)?.redis?.offset,
    touched: false,
  };
  try {
    for (const step of orderSteps(engine.environment, engine.plans, engine.facts, engine.primary.name)) {
      if (engine.signal.aborted)
        throw new FiredrillError({
          code: 'cancelled',
          what: 'cancelled between two nodes; the next run goes on from here',
        });
      state.touched = false;
      if (step.kind === 'handover') await handOver(state, step.from);
      else await changeNodes(state, step.nodes);
    }
  } catch (error) {
    throw withMore(error, goesBack(state, error) ? await takeBack(state) : []);
  } finally {
    progress.primary = state.primary;
  }
}

/**
 * A node that was changed and did not pass says something of this rollout. One that could not be spared, a run that was cancelled and
 * one that lost its lease to another do not: the next run goes on from there.
 */
function goesBack(state: State, error: unknown): boolean {
  const code = error instanceof FiredrillError ? error.code : 'bug';
  return state.touched && state.serving && code !== 'cancelled' && code !== 'lease';
}
