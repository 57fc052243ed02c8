import { type FleetInputs, readFleetInputs, required, wrongInput } from '../core/inputs.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'linode-token', 'secret', 'binary', 'mode'] as const;
export const outputNames = ['changed', 'report'] as const;

const modes = ['apply', 'plan', 'status'] as const;
export type Mode = (typeof modes)[number];

export interface RolloutInputs extends FleetInputs {
  /** Path of the C service's executable; '' with mode status, which needs none. */
  readonly binary: string;
  readonly mode: Mode;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): RolloutInputs {
  const given = get('mode') || 'apply';
  const mode = modes.find((each) => each === given);
  if (mode === undefined) throw wrongInput('mode', `${given} is no mode`, `Use one of ${modes.join(', ')}`);
  const binary = get('binary');
  if (mode !== 'status') required(binary, 'binary', 'Give the path that the build step put out');
  return { ...readFleetInputs(get), mode, binary };
}
