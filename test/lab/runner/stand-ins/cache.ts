import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { FiredrillError, messageOf } from '../../../../actions/core/errors.ts';
import { command } from './command.ts';
import type { StandIn, StandInCall } from './index.ts';

/** actions/cache in a folder of the lab: an entry per path and key. */
export const cache: StandIn = {
  name: 'actions/cache',
  inputs: { path: '', key: '', 'restore-keys': '' },
  postIf: 'success()',
  main: async (call) => {
    const paths = cachePaths(call.inputs.path ?? '', call.at);
    const key = call.inputs.key ?? '';
    const exact = join(cachesOf(call.options.cacheDir), entryName(paths, key));
    const prefixes = (call.inputs['restore-keys'] ?? '')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    const entry = existsSync(exact) ? exact : newestEntry(call.options.cacheDir, paths, prefixes);
    const hit = entry === exact;
    call.state.hit = String(hit);
    call.output('cache-primary-key', key);
    if (entry === undefined) {
      call.log(`no cache for ${key}`);
      call.output('cache-hit', '');
      return;
    }
    const matched = readMeta(entry).key;
    for (const [index, path] of paths.entries())
      await copyTree(join(entry, String(index)), target(call, path), isPackages(path));
    call.log(`restored ${paths.join(', ')} from ${matched}`);
    call.output('cache-hit', String(hit));
    call.output('cache-matched-key', matched);
  },
  post: async (call) => {
    if (call.state.hit === 'true') {
      call.log('nothing to save: the key was found');
      return;
    }
    const paths = cachePaths(call.inputs.path ?? '', call.at);
    const saved = await saveEntry(call.options.cacheDir, paths, call.inputs.key ?? '', (path) => target(call, path));
    call.log(saved ? `saved ${call.inputs.key}` : 'nothing saved: a path does not exist, or another run has saved it');
  },
};

/**
 * Stores the given paths under a key, as the action's post step does; `locate` gives the absolute path of each.
 * Returns false when the entry exists already or a path is missing.
 */
export async function saveEntry(
  cacheDir: string,
  paths: readonly string[],
  key: string,
  locate: (path: string) => string,
): Promise<boolean> {
  const entry = join(cachesOf(cacheDir), entryName(paths, key));
  if (existsSync(entry) || !paths.every((path) => existsSync(locate(path)))) return false;
  const staging = `${entry}.${randomUUID()}`;
  mkdirSync(staging, { recursive: true });
  for (const [index, path] of paths.entries())
    await copyTree(locate(path), join(staging, String(index)), isPackages(path));
  writeFileSync(join(staging, 'meta.json'), JSON.stringify({ key, paths }));
  try {
    renameSync(staging, entry);
    return true;
  } catch (error) {
    rmSync(staging, { recursive: true, force: true });
    if (existsSync(entry)) return false;
    throw new FiredrillError({ code: 'remote', what: `cache: ${messageOf(error)}`, where: entry, cause: error });
  }
}

/** The lines of `path`. Patterns are an error: an entry would be hard to tell from another. */
export function cachePaths(value: string, at: string): string[] {
  const paths = value
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const odd = paths.length === 0 ? '(empty)' : paths.find((path) => /[*?![\]]/.test(path));
  if (odd !== undefined) {
    throw new FiredrillError({
      code: 'config',
      what: `cache path '${odd}' is not supported by the lab's runner`,
      where: at,
    });
  }
  return paths;
}

function target(call: StandInCall, path: string): string {
  if (path.startsWith('~/')) return join(call.directories.home, path.slice(2));
  return isAbsolute(path) ? path : resolve(call.directories.workspace, path);
}

function isPackages(path: string): boolean {
  return basename(path) === 'node_modules';
}

function cachesOf(cacheDir: string): string {
  return join(cacheDir, 'actions-cache');
}

function entryName(paths: readonly string[], key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([paths, key]))
    .digest('hex')
    .slice(0, 32);
}

function newestEntry(cacheDir: string, paths: readonly string[], prefixes: readonly string[]): string | undefined {
  const directory = cachesOf(cacheDir);
  if (prefixes.length === 0 || !existsSync(directory)) return undefined;
  const entries = readdirSync(directory)
    .filter((name) => /^[0-9a-f]{32}$/.test(name))
    .map((name) => join(directory, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const prefix of prefixes) {
    const found = entries.find((entry) => {
      const meta = readMeta(entry);
      return meta.key.startsWith(prefix) && JSON.stringify(meta.paths) === JSON.stringify(paths);
    });
    if (found !== undefined) return found;
  }
  return undefined;
}

function readMeta(entry: string): { key: string; paths: string[] } {
  return JSON.parse(readFileSync(join(entry, 'meta.json'), 'utf8')) as { key: string; paths: string[] };
}

/**
 * Packages are tens of thousands of files that nobody writes to in place, so they are hard links where the disk allows; everything
 * else is copied, or a build that writes its file anew would write into the cache.
 */
async function copyTree(from: string, to: string, linked: boolean): Promise<void> {
  mkdirSync(dirname(to), { recursive: true });
  rmSync(to, { recursive: true, force: true });
  if (linked) {
    try {
      await command(['cp', '-al', from, to], dirname(from));
      return;
    } catch {
      rmSync(to, { recursive: true, force: true }); // another file system
    }
  }
  await command(['cp', '-a', '--reflink=auto', from, to], dirname(from));
}
