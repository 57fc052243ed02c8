import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { checkAction } from './schema.ts';
import { readStep, type Step } from './step-model.ts';
import {
  type Entry,
  elements,
  entries,
  fields,
  type Item,
  readYaml,
  type Scalar,
  scalar,
  text,
  unsupported,
} from './yaml.ts';

export interface ActionModel {
  /** Absolute folder of the action. */
  readonly directory: string;
  /** As shown in errors. */
  readonly file: string;
  readonly name: string;
  /** Input name to its default (undefined: none). */
  readonly inputs: Readonly<Record<string, Scalar | undefined>>;
  readonly runs: NodeRuns | CompositeRuns;
}

export interface NodeRuns {
  readonly using: 'node24';
  readonly main: string;
  readonly post: string | undefined;
  /** A whole expression; `always()` by default. */
  readonly postIf: string;
}

export interface CompositeRuns {
  readonly using: 'composite';
  readonly steps: readonly Step[];
  readonly outputs: Readonly<Record<string, Scalar>>;
}

/**
 * Reads `action.yml` (or `.yaml`) of a folder. `shown` is the folder as the workflow names it.
 * Throws a FiredrillError when there is none, when GitHub's schema refuses it, or for what the runner can't do.
 */
export function readAction(directory: string, shown: string, usesAt: string): ActionModel {
  const name = ['action.yml', 'action.yaml'].find((candidate) => existsSync(join(directory, candidate)));
  if (name === undefined) {
    throw new FiredrillError({
      code: 'config',
      what: `no action.yml or action.yaml under '${shown}'`,
      where: usesAt,
      fix: 'A local action exists only after actions/checkout has run in the same job',
    });
  }
  const file = join(shown, name);
  const content = readFileSync(join(directory, name), 'utf8');
  checkAction(file, content);
  const root = fields(readYaml(file, content));
  const inputs = root.get('inputs');
  return {
    directory,
    file,
    name: text((root.get('name') as Entry).value),
    inputs: Object.fromEntries(inputs === undefined ? [] : entries(inputs.value).map(inputDefault)),
    runs: readRuns(root.get('runs') as Entry, root.get('outputs')),
  };
}

function inputDefault(entry: Entry): [string, Scalar | undefined] {
  const value = entry.value.node === null ? undefined : fields(entry.value).get('default');
  return [entry.key, value === undefined ? undefined : scalar(value.value)];
}

function readRuns(runs: Entry, outputs: Entry | undefined): NodeRuns | CompositeRuns {
  const found = fields(runs.value);
  const value = (key: string): string | undefined => {
    const entry = found.get(key);
    return entry === undefined ? undefined : text(entry.value);
  };
  const using = value('using');
  if (using === 'composite') {
    return { using, steps: elements((found.get('steps') as Entry).value).map(readStep), outputs: readOutputs(outputs) };
  }
  if (using !== 'node24') throw unsupported(`runs.using '${using}'`, runs.at);
  const pre = found.get('pre');
  if (pre !== undefined) throw unsupported('runs.pre of a local action, which GitHub does not run either,', pre.at);
  return { using, main: value('main') ?? '', post: value('post'), postIf: value('post-if') ?? 'always()' };
}

function readOutputs(outputs: Entry | undefined): Record<string, Scalar> {
  if (outputs === undefined) return {};
  return Object.fromEntries(entries(outputs.value).map((entry) => [entry.key, outputValue(entry.value, entry.at)]));
}

function outputValue(item: Item, at: string): Scalar {
  const value = fields(item).get('value');
  if (value === undefined) throw unsupported('a composite action output without a value', at);
  return scalar(value.value);
}
