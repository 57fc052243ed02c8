import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { checkWorkflow } from './schema.ts';
import { readCondition, readStep, type Step } from './step-model.ts';
import {
  type Entry,
  elements,
  entries,
  fields,
  type Item,
  isMapping,
  readYaml,
  type Scalar,
  scalar,
  scalars,
  text,
  unsupported,
} from './yaml.ts';

export interface Job {
  readonly id: string;
  readonly at: string;
  readonly name: Scalar | undefined;
  readonly needs: readonly string[];
  readonly condition: string;
  readonly env: Readonly<Record<string, Scalar>>;
  readonly outputs: Readonly<Record<string, Scalar>>;
  readonly runsOn: Scalar;
  readonly container: { readonly image: Scalar; readonly env: Readonly<Record<string, Scalar>> } | undefined;
  readonly environment:
    | { readonly name: Scalar; readonly url: Scalar | undefined; readonly deployment: Scalar | undefined }
    | undefined;
  readonly timeoutMinutes: Scalar | undefined;
  readonly defaults: RunDefaults;
  readonly permissions: Permissions;
  readonly steps: readonly Step[];
}

export interface RunDefaults {
  readonly shell: Scalar | undefined;
  readonly workingDirectory: Scalar | undefined;
}

export type Permissions = Readonly<Record<string, string>> | string;

export interface Concurrency {
  readonly group: Scalar;
  readonly queue: string;
  readonly cancelInProgress: Scalar | undefined;
}

export interface Workflow {
  readonly file: string;
  readonly name: string;
  /** Event name to its configuration. */
  readonly on: ReadonlyMap<string, Item>;
  readonly env: Readonly<Record<string, Scalar>>;
  readonly permissions: Permissions;
  readonly concurrency: Concurrency | undefined;
  readonly jobs: readonly Job[];
}

const WORKFLOW_KEYS = new Set('name run-name on env permissions concurrency defaults jobs'.split(' '));
const JOB_KEYS = new Set(
  'name needs if runs-on container environment env outputs permissions concurrency timeout-minutes defaults steps'.split(
    ' ',
  ),
);

/** Reads a workflow. Throws a FiredrillError with file:line:column for every mistake, and for the first thing the runner can't do. */
export async function readWorkflow(path: string, file: string): Promise<Workflow> {
  const content = readFileSync(path, 'utf8');
  await checkWorkflow(file, content);
  const root = known(readYaml(file, content), WORKFLOW_KEYS, 'workflow');
  const name = root.get('name');
  const permissions = readPermissions(root.get('permissions'), '(the repository default)');
  const defaults = readDefaults(root.get('defaults'), undefined);
  const concurrency = root.get('concurrency');
  return {
    file,
    name: name === undefined ? basename(file) : text(name.value),
    on: readEvents(root.get('on')),
    env: scalars(root.get('env')?.value),
    permissions,
    concurrency: concurrency === undefined ? undefined : readConcurrency(concurrency.value),
    jobs: entries((root.get('jobs') as Entry).value).map((entry) => readJob(entry, permissions, defaults)),
  };
}

function readJob(entry: Entry, permissions: Permissions, defaults: RunDefaults): Job {
  const job = known(entry.value, JOB_KEYS, 'job');
  const value = (key: string): Item | undefined => job.get(key)?.value;
  const optional = (key: string): Scalar | undefined => {
    const item = value(key);
    return item === undefined ? undefined : scalar(item);
  };
  const needs = value('needs');
  return {
    id: entry.key,
    at: entry.at,
    name: optional('name'),
    needs: needs === undefined ? [] : elements(needs).map(text),
    condition: readCondition(value('if')),
    env: scalars(value('env')),
    outputs: scalars(value('outputs')),
    runsOn: scalar(value('runs-on') as Item),
    container: readContainer(value('container')),
    environment: readEnvironment(value('environment')),
    timeoutMinutes: optional('timeout-minutes'),
    defaults: readDefaults(job.get('defaults'), defaults),
    permissions: readPermissions(job.get('permissions'), permissions),
    steps: elements(value('steps') as Item).map(readStep),
  };
}

function readEvents(entry: Entry | undefined): Map<string, Item> {
  if (entry === undefined) return new Map();
  if (isMapping(entry.value)) return new Map(entries(entry.value).map((event) => [event.key, event.value]));
  return new Map(elements(entry.value).map((item) => [text(item), { ...item, node: null }]));
}

function readContainer(item: Item | undefined): Job['container'] {
  if (item === undefined) return undefined;
  if (!isMapping(item)) return { image: scalar(item), env: {} };
  const container = known(item, new Set(['image', 'env']), 'container');
  return { image: scalar((container.get('image') as Entry).value), env: scalars(container.get('env')?.value) };
}

function readEnvironment(item: Item | undefined): Job['environment'] {
  if (item === undefined) return undefined;
  if (!isMapping(item)) return { name: scalar(item), url: undefined, deployment: undefined };
  const environment = known(item, new Set(['name', 'url', 'deployment']), 'environment');
  const url = environment.get('url');
  const deployment = environment.get('deployment');
  return {
    name: scalar((environment.get('name') as Entry).value),
    url: url === undefined ? undefined : scalar(url.value),
    deployment: deployment === undefined ? undefined : scalar(deployment.value),
  };
}

function readConcurrency(item: Item): Concurrency {
  if (!isMapping(item)) return { group: scalar(item), queue: 'single', cancelInProgress: undefined };
  const found = fields(item);
  const cancel = found.get('cancel-in-progress');
  const queue = found.get('queue');
  return {
    group: scalar((found.get('group') as Entry).value),
    queue: queue === undefined ? 'single' : text(queue.value),
    cancelInProgress: cancel === undefined ? undefined : scalar(cancel.value),
  };
}

function readPermissions(entry: Entry | undefined, inherited: Permissions): Permissions {
  if (entry === undefined) return inherited;
  if (!isMapping(entry.value)) return text(entry.value);
  return Object.fromEntries(entries(entry.value).map((item) => [item.key, text(item.value)]));
}

function readDefaults(entry: Entry | undefined, outer: RunDefaults | undefined): RunDefaults {
  const run = entry === undefined ? undefined : fields(entry.value).get('run');
  const own = run === undefined ? new Map<string, Entry>() : fields(run.value);
  const pick = (key: string, inherited: Scalar | undefined): Scalar | undefined => {
    const found = own.get(key);
    return found === undefined ? inherited : scalar(found.value);
  };
  return {
    shell: pick('shell', outer?.shell),
    workingDirectory: pick('working-directory', outer?.workingDirectory),
  };
}

function known(item: Item, keys: ReadonlySet<string>, what: string): Map<string, Entry> {
  const found = fields(item);
  for (const entry of found.values())
    if (!keys.has(entry.key)) throw unsupported(`${what} key '${entry.key}'`, entry.at);
  return found;
}
