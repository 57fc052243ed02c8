import { FiredrillError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'linode-token', 'secret', 'binary', 'mode'] as const;
export const outputNames = ['changed', 'report'] as const;

const modes = ['apply', 'plan', 'status'] as const;
export type Mode = (typeof modes)[number];

export interface RolloutInputs {
  readonly environment: string;
  readonly linodeToken: Secret;
  readonly fleetSecret: Secret;
  /** Path of the C service's executable; '' with mode status, which needs none. */
  readonly binary: string;
  readonly mode: Mode;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): RolloutInputs {
  const environment = required(get('environment'), 'environment', 'Name a file of environments/, e.g. production');
  if (!/^[a-z0-9-]+$/.test(environment))
    throw wrong('environment', `${environment} is no name of an environment`, 'Give the name only, e.g. production');
  const given = get('mode') || 'apply';
  const mode = modes.find((each) => each === given);
  if (mode === undefined) throw wrong('mode', `${given} is no mode`, `Use one of ${modes.join(', ')}`);
  const secret = required(get('secret'), 'secret', 'Set the secret FIREDRILL_SECRET of this GitHub environment');
  if (secret.length < 32)
    throw wrong(
      'secret',
      `the fleet secret has ${secret.length} characters`,
      'Use at least 32, e.g. from `openssl rand -hex 32`',
    );
  const token = required(get('linode-token'), 'linode-token', 'Set the secret LINODE_TOKEN');
  const binary =
    mode === 'status' ? get('binary') : required(get('binary'), 'binary', 'Give the path that the build step put out');
  return { environment, mode, binary, fleetSecret: new Secret(secret), linodeToken: new Secret(token) };
}

function required(value: string, input: string, fix: string): string {
  if (value !== '') return value;
  throw wrong(input, 'is missing', fix);
}

function wrong(input: string, what: string, fix: string): FiredrillError {
  return new FiredrillError({ code: 'config', where: `input ${input}`, what, fix });
}
