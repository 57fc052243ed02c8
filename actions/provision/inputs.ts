import { type FleetInputs, readFleetInputs, wrongInput } from '../core/inputs.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'linode-token', 'secret', 'mode'] as const;
export const outputNames = ['changed', 'inventory'] as const;

export type Mode = 'apply' | 'plan';

export interface ProvisionInputs extends FleetInputs {
  readonly mode: Mode;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): ProvisionInputs {
  const mode = get('mode') || 'apply';
  if (mode !== 'apply' && mode !== 'plan') throw wrongInput('mode', `${mode} is no mode`, 'Use apply or plan');
  return { ...readFleetInputs(get), mode };
}
