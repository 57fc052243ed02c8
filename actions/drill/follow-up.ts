import { sleep } from '../core/deadline.ts';
import { nodeNamed } from '../core/environment/nodes.ts';
import { type Fleet, type FleetNode, nodeAt } from './fleet.ts';
import { inject } from './inject.ts';
import type { Step } from './scenarios/index.ts';
import { announcements, type Observation } from './timeline.ts';

const pollMs = 2;

/** A fault within a failover. */
export interface FollowUp {
  /** Whom it hit; undefined as long as it didn't. Rejects with what the injection threw. */
  readonly hit: Promise<FleetNode | undefined>;
}

/** Waits for the event that a step is bound to and injects it there and then; ends without it on the signal. */
export function followUp(
  fleet: Fleet,
  step: Step,
  observations: readonly Observation[],
  faultAt: number,
  signal: AbortSignal,
): FollowUp {
  const work = async (): Promise<FleetNode | undefined> => {
    while (!signal.aborted) {
      const node = chosen(fleet, step, observations, faultAt);
      if (node !== undefined) {
        await inject(node, step);
        return node;
      }
      await sleep(pollMs, signal).catch(() => {});
    }
    return undefined;
  };
  const hit = work();
  hit.catch(() => {}); // told to who awaits it
  return { hit };
}

/** The node that the step hits now, if its time has come. Pure. */
export function chosen(
  fleet: Pick<Fleet, 'environment' | 'nodes'>,
  { when, nodes }: Step,
  observations: readonly Observation[],
  faultAt: number,
): FleetNode | undefined {
  if (when === undefined || !('on' in when)) return undefined;
  const after = observations.filter((each) => each.at >= faultAt);
  // The Sentinel that was elected says so; the others say whom they voted for.
  const leader = after.find(({ event }) => event.name === '+elected-leader')?.node;
  const address = announcements(after)[0]?.event.host;
  const primary = fleet.nodes.find((node) => node.address === address)?.name;
  const name = when.on === 'leader' ? leader : primary;
  if (name === undefined || !nodes.includes(name)) return undefined;
  return nodeAt(fleet, nodeNamed(fleet.environment, name).address);
}
