import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { evaluateText, type Scope } from './expressions.ts';
import type { Directories, JobRun } from './job-run.ts';
import { hostNpm } from './npm.ts';
import type { Bind, RunOptions } from './types.ts';
import type { Job } from './workflow-model.ts';
import { unsupported } from './yaml.ts';

/**
 * The root directory that stands for a job's `container:`, with what must be seen inside at the same path: the job's folders, Node,
 * npm, and the git objects that the checkout borrows. Throws a FiredrillError for an image that isn't in the lab's table.
 */
export function containerOf(
  job: Job,
  options: RunOptions,
  directories: Directories,
  scope: Scope,
): JobRun['container'] {
  if (job.container === undefined) return undefined;
  const image = evaluateText(job.container.image, scope);
  const root = rootOf(job, options, image);
  const npm = hostNpm();
  const readOnly = [dirname(options.nodeBinary ?? process.execPath), gitObjects(options.sourceRepo), npm?.root];
  const binds: Bind[] = [{ path: directories.root, readOnly: false }];
  for (const path of readOnly) if (path !== undefined) binds.push({ path, readOnly: true });
  return { root, binds };
}

/** Fails before anything runs when a job's image, if it is a literal, isn't one that the lab has. */
export function checkContainer(job: Job, options: RunOptions): void {
  const image = job.container?.image.value;
  if (typeof image === 'string' && !image.includes('${{')) rootOf(job, options, image);
}

function rootOf(job: Job, options: RunOptions, image: string): string {
  const [name = ''] = image.split('@');
  const root = options.containers?.images[name];
  if (root !== undefined) return root;
  const known = Object.keys(options.containers?.images ?? {}).join(', ') || 'none';
  throw unsupported(`container image '${image}' (the lab has: ${known})`, job.container?.image.at ?? job.at);
}

function gitObjects(repository: string): string {
  const argv = [
    '-c',
    'safe.directory=*',
    '-C',
    repository,
    'rev-parse',
    '--path-format=absolute',
    '--git-path',
    'objects',
  ];
  return execFileSync('git', argv, { encoding: 'utf8', timeout: 10_000 }).trim();
}
