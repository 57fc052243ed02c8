import { join, resolve } from 'node:path';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { readAction } from './action-model.ts';
import { evaluateText, type Scope } from './expressions.ts';
import { hashFilesFunction } from './functions.ts';
import { cachePaths, saveEntry } from './stand-ins/cache.ts';

export interface SeedOptions {
  readonly cacheDir: string;
  /** A checkout with the paths in place, usually the lab's own clone after `npm ci`. */
  readonly clone: string;
  /** Folder of the composite action, relative to the clone: `.github/actions/setup`. */
  readonly action: string;
}

/**
 * Fills the lab's cache from the clone, so that jobs without a network find what `npm ci` would download. Path and key are evaluated
 * from the actions/cache step of the composite action itself, so they can't drift apart. Gives the keys that were newly saved.
 */
export async function seedCache(options: SeedOptions): Promise<string[]> {
  const clone = resolve(options.clone);
  const action = readAction(join(clone, options.action), options.action, options.action);
  if (action.runs.using !== 'composite') {
    throw new FiredrillError({ code: 'config', what: 'not a composite action', where: action.file });
  }
  const arch: Record<string, string> = { x64: 'X64', arm64: 'ARM64' };
  const scope: Scope = {
    contexts: { runner: { os: 'Linux', arch: arch[process.arch] ?? process.arch }, github: {}, inputs: {}, env: {} },
    functions: [hashFilesFunction(clone)],
  };
  const saved: string[] = [];
  for (const step of action.runs.steps) {
    if (step.kind !== 'uses' || !step.uses.startsWith('actions/cache@')) continue;
    const { path, key } = step.with;
    if (path === undefined || key === undefined) continue;
    const evaluated = evaluateText(key, scope);
    const paths = cachePaths(evaluateText(path, scope), path.at);
    if (await saveEntry(options.cacheDir, paths, evaluated, (name) => join(clone, name))) saved.push(evaluated);
  }
  return saved;
}
