import { FiredrillError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'linode-token', 'secret', 'mode'] as const;
export const outputNames = ['changed', 'inventory'] as const;

export type Mode = 'apply' | 'plan';

export interface ProvisionInputs {
  readonly environment: string;
  readonly linodeToken: Secret;
  readonly fleetSecret: Secret;
  readonly mode: Mode;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): ProvisionInputs {
  const environment = required(get('environment'), 'environment', 'Name a file of environments/, e.g. production');
  if (!/^[a-z0-9-]+$/.test(environment)) {
    throw wrong('environment', `${environment} is no name of an environment`, 'Give the name only, e.g. production');
  }
  const mode = get('mode') || 'apply';
  if (mode !== 'apply' && mode !== 'plan') throw wrong('mode', `${mode} is no mode`, 'Use apply or plan');
  const secret = required(get('secret'), 'secret', 'Set the secret FIREDRILL_SECRET of this GitHub environment');
  if (secret.length < 32) {
    throw wrong(
      'secret',
      `the fleet secret has ${secret.length} characters`,
      'Use at least 32, e.g. from `openssl rand -hex 32`',
    );
  }
  const token = required(get('linode-token'), 'linode-token', 'Set the secret LINODE_TOKEN');
  return { environment, mode, fleetSecret: new Secret(secret), linodeToken: new Secret(token) };
}

function required(value: string, input: string, fix: string): string {
  if (value !== '') return value;
  throw wrong(input, 'is missing', fix);
}

function wrong(input: string, what: string, fix: string): FiredrillError {
  return new FiredrillError({ code: 'config', where: `input ${input}`, what, fix });
}
