import { FiredrillError } from '../../../actions/core/errors.ts';
import { matchesFilter } from './patterns.ts';
import type { RunOptions } from './types.ts';
import type { Workflow } from './workflow-model.ts';
import { type Entry, elements, entries, fields, type Item, scalar, text, unsupported } from './yaml.ts';

export type Inputs = Readonly<Record<string, string | number | boolean>>;

/**
 * Checks that the workflow listens to the event, as GitHub would before it starts a run, and gives the `inputs` context.
 * Throws a FiredrillError when the event would not start this workflow or an input is wrong.
 */
export function admit(workflow: Workflow, options: RunOptions): Inputs {
  const config = workflow.on.get(options.event.name);
  if (config === undefined) {
    throw refused(
      `does not listen to '${options.event.name}', only to ${[...workflow.on.keys()].join(', ')}`,
      workflow.file,
    );
  }
  switch (options.event.name) {
    case 'push':
      checkFilters(config, options.ref);
      return {};
    case 'pull_request':
      checkFilters(config, `refs/heads/${baseBranch(options)}`);
      return {};
    case 'schedule':
      return {};
    case 'workflow_dispatch':
      return dispatchInputs(config, options.event.inputs ?? {});
    default:
      throw unsupported(`event '${options.event.name}'`, config.at);
  }
}

function checkFilters(config: Item, ref: string): void {
  if (config.node === null) return;
  const filters = fields(config);
  for (const entry of filters.values()) {
    if (!['branches', 'branches-ignore', 'tags', 'tags-ignore', 'types'].includes(entry.key)) {
      throw unsupported(`event filter '${entry.key}'`, entry.at);
    }
  }
  const patterns = (key: string): string[] | undefined => {
    const entry = filters.get(key);
    return entry === undefined ? undefined : elements(entry.value).map(text);
  };
  const kind = ref.startsWith('refs/tags/') ? 'tags' : 'branches';
  const other = kind === 'tags' ? 'branches' : 'tags';
  const name = ref.replace(/^refs\/(heads|tags)\//, '');
  const wanted = patterns(kind);
  const ignored = patterns(`${kind}-ignore`);
  const onlyOther = wanted === undefined && ignored === undefined && patterns(other) !== undefined;
  if (
    onlyOther ||
    (wanted !== undefined && !matchesFilter(name, wanted)) ||
    (ignored !== undefined && matchesFilter(name, ignored))
  ) {
    throw refused(`its filters do not let ${ref} in`, config.at);
  }
}

function baseBranch(options: RunOptions): string {
  const pull = options.event.payload?.pull_request as { base?: { ref?: string } } | undefined;
  return pull?.base?.ref ?? 'main';
}

function dispatchInputs(config: Item, given: NonNullable<RunOptions['event']['inputs']>): Inputs {
  const declared = config.node === null ? undefined : fields(config).get('inputs');
  const inputs = declared === undefined ? [] : entries(declared.value);
  const unknown = Object.keys(given).find((name) => !inputs.some((input) => input.key === name));
  if (unknown !== undefined) throw refused(`has no input '${unknown}'`, config.at);
  return Object.fromEntries(inputs.map((input) => [input.key, dispatchInput(input, given[input.key])]));
}

function dispatchInput(input: Entry, given: string | number | boolean | undefined): string | number | boolean {
  const spec = input.value.node === null ? new Map<string, Entry>() : fields(input.value);
  const read = (key: string): string | number | boolean | null | undefined => {
    const entry = spec.get(key);
    return entry === undefined ? undefined : scalar(entry.value).value;
  };
  if (given === undefined && read('required') === true && read('default') === undefined) {
    throw refused(`input '${input.key}' is required`, input.at);
  }
  const value = given ?? read('default') ?? '';
  const type = read('type') ?? 'string';
  if (type === 'boolean') return String(value) === 'true';
  if (type === 'number') return Number(value);
  if (type === 'choice') {
    const choices = elements((spec.get('options') as Entry).value).map(text);
    const chosen = value === '' ? (choices[0] ?? '') : String(value);
    if (!choices.includes(chosen))
      throw refused(`input '${input.key}' is '${chosen}', not one of ${choices.join(', ')}`, input.at);
    return chosen;
  }
  return String(value);
}

function refused(what: string, at: string): FiredrillError {
  return new FiredrillError({ code: 'config', what: `this event would not start the workflow: ${what}`, where: at });
}
