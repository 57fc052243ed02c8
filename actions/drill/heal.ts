import { sleep } from '../core/deadline.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import { type Armed, heal } from './inject.ts';

/** Undoes what a run that broke off left; the reasons where that failed. Heeds no cancellation: this is what is left to do. */
export async function healArmed(armed: readonly Armed[], fleet: Fleet): Promise<string[]> {
  const healed = armed.map(async (each): Promise<string[]> => {
    for (let tried = 1; ; tried += 1) {
      try {
        await heal(fleet, each);
        return [];
      } catch (error) {
        if (tried === 3) return [unhealed(each.node, fleet, error)];
        await sleep(1000);
      }
    }
  });
  return (await Promise.all(healed)).flat();
}

function unhealed(node: FleetNode, fleet: Fleet, error: unknown): string {
  const afterS = fleet.environment.drill.healAfterMs / 1000;
  return new FiredrillError({
    code: 'gate',
    node: node.name,
    what: `could not be healed: ${messageOf(error)}`,
    fix: `If it was armed it heals itself ${afterS} s after that; look at systemctl status firedrill-heal.timer there`,
  }).message;
}
