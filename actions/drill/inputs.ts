import { type ScenarioName, scenarioNames } from '../core/environment/schema.ts';
import { type FleetInputs, readFleetInputs, wrongInput } from '../core/inputs.ts';
import { Secret } from '../core/secret.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'scenarios', 'linode-token', 'secret', 'github-token', 'out'] as const;
export const outputNames = ['ok', 'report'] as const;

export interface DrillInputs extends FleetInputs {
  /** Undefined: those of the environment. */
  readonly scenarios: readonly ScenarioName[] | undefined;
  /** Undefined: nothing is posted. */
  readonly githubToken: Secret | undefined;
  /** The folder for the report. */
  readonly out: string;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): DrillInputs {
  const githubToken = get('github-token');
  return {
    ...readFleetInputs(get),
    scenarios: readScenarios(get('scenarios')),
    githubToken: githubToken === '' ? undefined : new Secret(githubToken),
    out: get('out') || 'out',
  };
}

/** Names separated by commas or spaces; `all` is every one; nothing leaves it to the environment. */
function readScenarios(text: string): ScenarioName[] | undefined {
  const words = [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))];
  if (words.length === 0) return undefined;
  if (words.includes('all')) return [...scenarioNames];
  return words.map((word) => {
    const name = scenarioNames.find((each) => each === word);
    if (name !== undefined) return name;
    throw wrongInput('scenarios', `there is no scenario ${word}`, `Use all, or some of ${scenarioNames.join(', ')}`);
  });
}
