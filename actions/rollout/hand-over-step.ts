import { nodesOf } from '../core/environment/nodes.ts';
import { FiredrillError } from '../core/errors.ts';
import { readFleet } from './fleet.ts';
import { gateRule, once, proveHealthy } from './look.ts';
import { phaseDone, type State } from './state.ts';

/** The primary `from` hands over. Before and after, all of Redis and all Sentinels are well: each replica may be chosen, all must agree. */
export async function handOver(state: State, from: string): Promise<void> {
  const { engine } = state;
  const begun = performance.now();
  const others = [...nodesOf(engine.environment, 'redis'), ...nodesOf(engine.environment, 'sentinel')];
  const names = others.map((node) => node.name);
  await proveHealthy(state, 'handover', others, once(state));
  const handover = await engine.handOver(from, await readFleet(engine.environment, engine.fleet, names));
  state.handovers.push(handover);
  const promoted = engine.environment.nodes.find((node) => node.name === handover.to);
  if (promoted === undefined) throw new FiredrillError({ code: 'bug', what: `${handover.to} is no node` });
  state.primary = promoted;
  await proveHealthy(state, 'handover', others, gateRule(state, false));
  phaseDone(
    state,
    from,
    'handover',
    begun,
    `${handover.to} is primary; writes waited ${Math.round(handover.pausedMs)} ms`,
  );
}
