import { chmodSync, cpSync, existsSync, globSync, mkdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { FiredrillError } from '../../../../actions/core/errors.ts';
import type { StandIn, StandInCall } from './index.ts';

/** actions/upload-artifact into the run's own folder: what it packs, what it leaves out, and how it fails. */
export const uploadArtifact: StandIn = {
  name: 'actions/upload-artifact',
  inputs: { name: 'artifact', path: '', 'if-no-files-found': 'warn', 'retention-days': '' },
  main: async (call) => {
    const files = findFiles(call);
    const name = call.inputs.name ?? '';
    const destination = join(call.directories.artifacts, name);
    if (files.paths.length === 0) {
      const message = `no files were found with the path: ${call.inputs.path}`;
      if (call.inputs['if-no-files-found'] === 'error')
        throw new FiredrillError({ code: 'config', what: message, where: call.at });
      call.log(`##[warning]${message}`);
      return;
    }
    if (existsSync(destination)) {
      throw new FiredrillError({ code: 'config', what: `the run has an artifact '${name}' already`, where: call.at });
    }
    for (const path of files.paths) {
      const to = join(destination, relative(files.root, path));
      mkdirSync(dirname(to), { recursive: true });
      cpSync(path, to);
      // The real one is a zip without modes: whoever downloads a program must set its mode again, here as well.
      chmodSync(to, 0o644);
      call.log(`  ${relative(files.root, path)} (${statSync(path).size} bytes)`);
    }
    call.output('artifact-id', name);
  },
};

/** actions/download-artifact from the run's own folder. */
export const downloadArtifact: StandIn = {
  name: 'actions/download-artifact',
  inputs: { name: '', path: '.' },
  main: async (call) => {
    const name = call.inputs.name ?? '';
    const from = join(call.directories.artifacts, name);
    if (name === '' || !existsSync(from)) {
      throw new FiredrillError({ code: 'config', what: `this run has no artifact '${name}'`, where: call.at });
    }
    const to = resolve(call.directories.workspace, call.inputs.path ?? '.');
    cpSync(from, to, { recursive: true });
    call.log(`${name} to ${to}`);
    call.output('download-path', to);
  },
};

/** The files that match, without hidden ones, and the folder that their names in the artifact start from. */
function findFiles(call: StandInCall): { root: string; paths: string[] } {
  const { workspace } = call.directories;
  const patterns = (call.inputs.path ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const odd = patterns.find((pattern) => pattern.startsWith('!'));
  if (odd !== undefined)
    throw new FiredrillError({
      code: 'config',
      what: `path '${odd}' is not supported by the lab's runner`,
      where: call.at,
    });
  const found = new Set<string>();
  const roots: string[] = [];
  for (const pattern of patterns) {
    const fixed = pattern.split('/').slice(0, firstWild(pattern)).join('/');
    for (const match of globSync(pattern, { cwd: workspace })) {
      const path = resolve(workspace, match);
      if (statSync(path).isDirectory())
        for (const file of globSync('**/*', { cwd: path })) addFile(found, join(path, file), path);
      else addFile(found, path, dirname(path));
      roots.push(fixed === pattern && statSync(path).isFile() ? dirname(path) : resolve(workspace, fixed));
    }
  }
  return { root: commonRoot(roots), paths: [...found].sort() };
}

function firstWild(pattern: string): number {
  const index = pattern.split('/').findIndex((part) => /[*?[]/.test(part));
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

function addFile(found: Set<string>, path: string, base: string): void {
  const hidden = join(basename(base), relative(base, path))
    .split('/')
    .some((part) => part.startsWith('.') && part !== '.');
  if (!hidden && statSync(path).isFile()) found.add(path);
}

function commonRoot(roots: readonly string[]): string {
  const [first = '/', ...rest] = roots;
  return rest.reduce((common, root) => {
    let candidate = common;
    while (root !== candidate && !root.startsWith(`${candidate}/`)) candidate = dirname(candidate);
    return candidate;
  }, first);
}
