/** Held to action.yml by a test. */
export const inputNames = ['source', 'output'] as const;
export const outputNames = ['binary', 'sha256', 'cached'] as const;

export interface BuildInputs {
  /** The folder with the C service, relative to the workspace. */
  readonly source: string;
  /** The folder for the results. */
  readonly output: string;
}

/** Reads the inputs by name; an empty one counts as absent and takes its default. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): BuildInputs {
  return { source: get('source') || 'c-app', output: get('output') || 'out/build' };
}
