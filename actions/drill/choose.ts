import { type Environment, type ScenarioName, scenarioNames } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';

/** What a drill is asked for. `core`: what the environment has every night; `nightly`: that, and the night's part of the rotation. */
export type Choice = 'core' | 'nightly' | 'all' | readonly ScenarioName[];

type Settings = Environment['drill'];

const days = 7;
const dayMs = 24 * 3600 * 1000;

/** The scenarios to run, in the order of the catalogue. Throws a FiredrillError (`config`) for one that is not allowed there. Pure. */
export function chooseScenarios(choice: Choice, drill: Settings, now: number): ScenarioName[] {
  if (choice === 'all') return inOrder([...drill.scenarios, ...drill.rotation]);
  if (choice === 'core') return inOrder(drill.scenarios);
  if (choice === 'nightly') return inOrder([...drill.scenarios, ...tonight(drill, now)]);
  const allowed = inOrder([...drill.scenarios, ...drill.rotation, ...drill.byHand]);
  const forbidden = choice.filter((name) => !allowed.includes(name));
  if (forbidden.length === 0) return inOrder(choice);
  throw new FiredrillError({
    code: 'config',
    where: 'scenarios',
    what: `not allowed in this environment: ${forbidden.join(', ')}`,
    fix: `Name them in drill.rotation or drill.byHand of its file; allowed are ${allowed.join(', ')}`,
  });
}

/** The part of the rotation that is this day's (UTC): within any seven days in a row each comes once. */
function tonight({ scenarios, rotation }: Settings, now: number): ScenarioName[] {
  const day = Math.floor(now / dayMs) % days;
  return inOrder(rotation)
    .filter((name) => !scenarios.includes(name))
    .filter((_, index) => index % days === day);
}

function inOrder(names: readonly ScenarioName[]): ScenarioName[] {
  return scenarioNames.filter((name) => names.includes(name));
}

/** Why nothing may be broken now, or undefined. Pure. */
export function whyNot(
  drill: Settings,
  { killSwitch, scheduled, now }: { readonly killSwitch: boolean; readonly scheduled: boolean; readonly now: number },
): string | undefined {
  if (killSwitch) return 'the variable FIREDRILL_DRILL says off';
  if (!drill.enabled) return 'drill.enabled is false in the environment file';
  if (!scheduled || drill.window === undefined || isWithin(drill.window, now)) return undefined;
  const time = new Date(now).toISOString().slice(11, 16);
  return `it is ${time} UTC, and scheduled drills begin from ${drill.window.from} to ${drill.window.to}`;
}

/** A window may go over midnight. */
function isWithin({ from, to }: { readonly from: string; readonly to: string }, now: number): boolean {
  const time = new Date(now).toISOString().slice(11, 16);
  return from <= to ? from <= time && time < to : from <= time || time < to;
}
