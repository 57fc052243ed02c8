import { FiredrillError } from './errors.ts';
import { Secret } from './secret.ts';

/** What every action on a fleet is given. */
export interface FleetInputs {
  /** A file of environments/, without its ending. */
  readonly environment: string;
  readonly linodeToken: Secret;
  readonly fleetSecret: Secret;
}

/** Reads and checks `environment`, `secret` and `linode-token`. Throws a FiredrillError (`config`) that says which is wrong. */
export function readFleetInputs(get: (name: 'environment' | 'secret' | 'linode-token') => string): FleetInputs {
  const environment = required(get('environment'), 'environment', 'Name a file of environments/, e.g. production');
  // It becomes part of a path.
  if (!/^[a-z0-9-]+$/.test(environment)) {
    throw wrongInput(
      'environment',
      `${environment} is no name of an environment`,
      'Give the name only, e.g. production',
    );
  }
  const secret = required(get('secret'), 'secret', 'Set the secret FIREDRILL_SECRET of this GitHub environment');
  if (secret.length < 32) {
    const fix = 'Use at least 32, e.g. from `openssl rand -hex 32`';
    throw wrongInput('secret', `the fleet secret has ${secret.length} characters`, fix);
  }
  const token = required(get('linode-token'), 'linode-token', 'Set the secret LINODE_TOKEN');
  return { environment, fleetSecret: new Secret(secret), linodeToken: new Secret(token) };
}

/** The value, or an error that says that the input is missing and what to do. */
export function required(value: string, input: string, fix: string): string {
  if (value !== '') return value;
  throw wrongInput(input, 'is missing', fix);
}

export function wrongInput(input: string, what: string, fix: string): FiredrillError {
  return new FiredrillError({ code: 'config', where: `input ${input}`, what, fix });
}
