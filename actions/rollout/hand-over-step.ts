import { nodesOf } from '../core/environment/nodes.ts';
import { readFleet } from './fleet.ts';
import { gateRule, once, proveHealthy } from './look.ts';
import { findPrimary } from './primary.ts';
import { runOnNode } from './remote.ts';
import { phaseDone, type State } from './state.ts';

/** One that was made, as its node reported it. */
export interface Handover {
  readonly to: string;
  /** How long writes were held back. */
  readonly pausedMs: number;
  /** Of that, until the replicas had everything. */
  readonly caughtUpMs: number;
  /** Of that, until Sentinel had promoted one. */
  readonly promotedMs: number;
}

/**
 * The primary `from` hands over, by the script that its node also uses when Redis is stopped there: beside Redis, so that no round trip of
 * ours is in the pause. Before and after, all of Redis and all Sentinels are well: each replica may be chosen, all must agree. Throws a
 * FiredrillError; then `from` serves on, or, when the connection broke, the script ends what it began.
 */
export async function handOver(state: State, from: string): Promise<void> {
  const { environment, fleet, run, reporter } = state.engine;
  const others = [...nodesOf(environment, 'redis'), ...nodesOf(environment, 'sentinel')];
  await proveHealthy(state, 'handover', others, once(state));
  const words = ['handover', String(run.generation), String(run.leaseMs), run.who];
  const member = fleet.get(from);
  const phases =
    member === undefined
      ? []
      : await runOnNode(member, run, { words, timeoutMs: environment.ssh.commandTimeoutMs }, reporter);
  const begun = performance.now();
  const sentinels = nodesOf(environment, 'sentinel').map((node) => node.name);
  state.primary = findPrimary(environment, await readFleet(environment, fleet, sentinels));
  const said = phases.find((each) => each.phase === 'handover')?.detail ?? '';
  state.handovers.push({ to: state.primary.name, ...durationsIn(said) });
  await proveHealthy(state, 'handover', others, gateRule(state, false));
  phaseDone(state, from, 'agreed', begun, `${state.primary.name} is primary`);
}

/** What firedrill-redis-handover says, also of a late one; all 0 when the node was a replica already. Pure. */
function durationsIn(said: string): Omit<Handover, 'to'> {
  const found = /writes waited (\d+) ms \((\d+) for the replicas, (\d+) for Sentinel\)/.exec(said);
  const [pausedMs = 0, caughtUpMs = 0, promotedMs = 0] = (found ?? []).slice(1).map(Number);
  return { pausedMs, caughtUpMs, promotedMs };
}
