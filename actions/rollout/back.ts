import { messageOf } from '../core/errors.ts';
import { withoutTraffic } from './change.ts';
import { revert } from './confirm.ts';
import { handOver } from './hand-over-step.ts';
import { gateRule, proveDispensable, proveHealthy } from './look.ts';
import { interrupts } from './plan.ts';
import { type Part, phaseDone, type State } from './state.ts';
import { handsOver } from './steps.ts';

/**
 * A node failed: this run's other nodes go back too, the last one first, each with the same care as on the way there, so that the fleet
 * runs one release again. Gives lines for the error; never throws. What can't be taken back is named.
 */
export async function takeBack(state: State): Promise<string[]> {
  const parts = state.confirmed
    .filter(({ plan }) => plan.previous !== undefined && plan.previous !== plan.release.digest)
    .reverse();
  const done: string[] = [];
  for (const [index, part] of parts.entries()) {
    try {
      if (state.engine.signal.aborted) throw new Error('cancelled');
      await takeBackOne(state, part);
      done.push(part.node.name);
    } catch (error) {
      const left = parts.slice(index).map((each) => each.node.name);
      return [
        ...said(done),
        `${left.join(', ')} could not be taken back and may have the new release: ${messageOf(error)}`,
      ];
    }
  }
  return said(done);
}

function said(done: readonly string[]): string[] {
  return done.length === 0 ? [] : [`${done.join(', ')}: taken back to the release before this run`];
}

async function takeBackOne(state: State, part: Part): Promise<void> {
  const begun = performance.now();
  if (handsOver(part.plan, state.primary.name)) await handOver(state, part.node.name);
  if (state.serving && interrupts(part.plan)) await proveDispensable(state, [part]);
  await withoutTraffic(state, part, async () => void (await revert(state, part, '-')));
  await proveHealthy(state, 'taken back', [part.node], gateRule(state, false));
  phaseDone(state, part.node.name, 'taken back', begun, '');
}
