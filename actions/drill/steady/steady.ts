import { sleep } from '../../core/deadline.ts';
import { nodesOf } from '../../core/environment/nodes.ts';
import type { Role } from '../../core/environment/schema.ts';
import { roles } from '../../core/environment/schema.ts';
import { FiredrillError } from '../../core/errors.ts';
import { nowMs } from '../clock.ts';
import { type Fleet, nodeAt } from '../fleet.ts';
import type { LiveState } from '../scenarios/index.ts';
import { agreedPrimary, findUnsteady, sharedHolder, type Unsteady } from './checks.ts';
import { readFleet } from './facts.ts';

const intervalMs = 250;
/** Failed checks in the error; one cause has many effects. */
const shown = 6;

/**
 * Waits until every check was good without a break for `drill.steadyMs`. Throws a FiredrillError (`gate`) after
 * `drill.steadyTimeoutMs` that names each check that failed last and its node; `cancelled` on the signal.
 */
export async function proveSteady(fleet: Fleet, phase: string, signal?: AbortSignal): Promise<LiveState> {
  const { steadyMs, steadyTimeoutMs } = fleet.environment.drill;
  const startedAt = nowMs();
  let steadySince: number | undefined;
  let primary: string | undefined;
  let last: Unsteady[] = [];
  for (;;) {
    if (signal?.aborted)
      throw new FiredrillError({ code: 'cancelled', phase, what: 'cancelled before the steady state' });
    const askedAt = nowMs();
    const facts = await readFleet(fleet);
    const found = findUnsteady(fleet.environment, facts);
    const address = agreedPrimary(facts);
    const holder = sharedHolder(facts);
    if (found.length > 0 || address === undefined || (primary !== undefined && address !== primary)) {
      // A change of the primary is a flap, too.
      steadySince = undefined;
      if (found.length > 0) last = found;
    } else steadySince ??= askedAt;
    primary = address;
    if (steadySince !== undefined && primary !== undefined && nowMs() - steadySince >= steadyMs)
      return liveState(fleet, nodeAt(fleet, primary).name, holder);
    if (nowMs() - startedAt > steadyTimeoutMs) throw unsteadyError(last, steadyTimeoutMs, phase);
    await sleep(intervalMs);
  }
}

function liveState(fleet: Fleet, primary: string, holder: string | undefined): LiveState {
  const names = (role: Role) => nodesOf(fleet.environment, role).map((node) => node.name);
  const nodes = Object.fromEntries(roles.map((role) => [role, names(role)])) as Record<Role, string[]>;
  const addresses = Object.fromEntries(fleet.nodes.map((node) => [node.name, node.address]));
  return { primary, balancer: holder ?? nodes.lb[0] ?? '', nodes, addresses };
}

function unsteadyError(last: readonly Unsteady[], timeoutMs: number, phase: string): FiredrillError {
  const seen = last.slice(0, shown).map((each) => `${each.node}: ${each.what}`);
  if (last.length > shown) seen.push(`and ${last.length - shown} more`);
  return new FiredrillError({
    code: 'gate',
    phase,
    what: `no steady state within ${timeoutMs} ms: ${seen.join('; ') || 'it flapped'}`,
    fix: 'Heal the fleet first; a drill starts from a healthy one',
  });
}
