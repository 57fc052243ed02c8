import { type FleetInputs, readFleetInputs, required, wrongInput } from '../core/inputs.ts';
import { Secret } from '../core/secret.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = [
  'environment',
  'linode-token',
  'secret',
  'binary',
  'mode',
  'force',
  'alert-secret',
  'watchdog-url',
] as const;
export const outputNames = ['changed', 'report', 'bad'] as const;

const modes = ['apply', 'plan', 'rollback', 'status'] as const;
export type Mode = (typeof modes)[number];

export interface RolloutInputs extends FleetInputs {
  /** Path of the C service's executable; '' with the modes status and rollback, which need none. */
  readonly binary: string;
  readonly mode: Mode;
  /** Tries a release again that failed on its node. */
  readonly force: boolean;
  /** What Alertmanager signs in with where alerts go; undefined when it was not given. */
  readonly alertSecret?: Secret | undefined;
  /** What Alertmanager calls as long as alerts can be told; undefined when it was not given. */
  readonly watchdogUrl?: Secret | undefined;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): RolloutInputs {
  const given = get('mode') || 'apply';
  const mode = modes.find((each) => each === given);
  if (mode === undefined) throw wrongInput('mode', `${given} is no mode`, `Use one of ${modes.join(', ')}`);
  const needed = mode === 'apply' || mode === 'plan';
  const binary = needed ? required(get('binary'), 'binary', 'Give the path that the build step put out') : '';
  const forced = get('force') || 'false';
  if (forced !== 'true' && forced !== 'false') throw wrongInput('force', `${forced} is neither`, 'Use true or false');
  const alertSecret = secretOf(get('alert-secret'));
  const watchdogUrl = secretOf(get('watchdog-url'));
  return { ...readFleetInputs(get), mode, binary, force: forced === 'true', alertSecret, watchdogUrl };
}

function secretOf(value: string): Secret | undefined {
  return value === '' ? undefined : new Secret(value);
}
