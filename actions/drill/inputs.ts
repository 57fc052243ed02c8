import { type ScenarioName, scenarioNames } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = ['environment', 'scenarios', 'linode-token', 'secret', 'github-token', 'out'] as const;
export const outputNames = ['ok', 'report'] as const;

export interface DrillInputs {
  readonly environment: string;
  /** Undefined: those of the environment. */
  readonly scenarios: readonly ScenarioName[] | undefined;
  readonly linodeToken: Secret;
  readonly fleetSecret: Secret;
  /** Undefined: nothing is posted. */
  readonly githubToken: Secret | undefined;
  /** The folder for the report. */
  readonly out: string;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): DrillInputs {
  const environment = required(get('environment'), 'environment', 'Name a file of environments/, e.g. production');
  if (!/^[a-z0-9-]+$/.test(environment))
    throw wrong('environment', `${environment} is no name of an environment`, 'Give the name only, e.g. production');
  const secret = required(get('secret'), 'secret', 'Set the secret FIREDRILL_SECRET of this GitHub environment');
  const githubToken = get('github-token');
  return {
    environment,
    scenarios: readScenarios(get('scenarios')),
    linodeToken: new Secret(required(get('linode-token'), 'linode-token', 'Set the secret LINODE_TOKEN')),
    fleetSecret: new Secret(secret),
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
    throw wrong('scenarios', `there is no scenario ${word}`, `Use all, or some of ${scenarioNames.join(', ')}`);
  });
}

function required(value: string, input: string, fix: string): string {
  if (value !== '') return value;
  throw wrong(input, 'is missing', fix);
}

function wrong(input: string, what: string, fix: string): FiredrillError {
  return new FiredrillError({ code: 'config', where: `input ${input}`, what, fix });
}
