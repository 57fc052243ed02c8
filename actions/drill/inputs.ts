import { join } from 'node:path';
import { scenarioNames } from '../core/environment/schema.ts';
import { type FleetInputs, readFleetInputs, wrongInput } from '../core/inputs.ts';
import { Secret } from '../core/secret.ts';
import type { Choice } from './choose.ts';

/** As in action.yml; a test holds the two together. */
export const inputNames = [
  'environment',
  'scenarios',
  'repeat',
  'linode-token',
  'secret',
  'github-token',
  'alert-secret',
  'watchdog-url',
  'out',
  'runs',
] as const;
export const outputNames = ['ok', 'report'] as const;

export interface DrillInputs extends FleetInputs {
  readonly scenarios: Choice;
  /** Undefined: the environment's, and what ran before doesn't count. */
  readonly repeat: number | undefined;
  /** Undefined: nothing is posted. */
  readonly githubToken: Secret | undefined;
  /** For the rollouts of the scenarios that make one; undefined when it was not given. */
  readonly alertSecret?: Secret | undefined;
  /** As alertSecret. */
  readonly watchdogUrl?: Secret | undefined;
  /** The folder for the report. */
  readonly out: string;
  /** The file that each run is appended to. */
  readonly runs: string;
}

/** Reads and checks the inputs. Throws a FiredrillError (`config`) that says which is wrong. */
export function readInputs(get: (name: (typeof inputNames)[number]) => string): DrillInputs {
  const githubToken = get('github-token');
  const alertSecret = get('alert-secret');
  const watchdogUrl = get('watchdog-url');
  const out = get('out') || 'out';
  return {
    ...readFleetInputs(get),
    scenarios: readScenarios(get('scenarios')),
    repeat: readRepeat(get('repeat')),
    githubToken: githubToken === '' ? undefined : new Secret(githubToken),
    alertSecret: alertSecret === '' ? undefined : new Secret(alertSecret),
    watchdogUrl: watchdogUrl === '' ? undefined : new Secret(watchdogUrl),
    out,
    runs: get('runs') || join(out, 'drill.jsonl'),
  };
}

/** Names separated by commas or spaces; `all` is every one that is allowed, `nightly` the night's; nothing is the core ones. */
function readScenarios(text: string): Choice {
  const words = [...new Set(text.split(/[\s,]+/).filter((word) => word !== ''))];
  if (words.length === 0) return 'core';
  if (words.includes('all')) return 'all';
  if (words.includes('nightly')) return 'nightly';
  return words.map((word) => {
    const name = scenarioNames.find((each) => each === word);
    if (name !== undefined) return name;
    throw wrongInput(
      'scenarios',
      `there is no scenario ${word}`,
      `Use all, nightly, or some of ${scenarioNames.join(', ')}`,
    );
  });
}

function readRepeat(text: string): number | undefined {
  if (text === '') return undefined;
  const repeat = Number(text);
  if (Number.isInteger(repeat) && repeat >= 1 && repeat <= 100) return repeat;
  throw wrongInput('repeat', `"${text}" is not a number of runs`, 'Use a whole number from 1 to 100');
}
