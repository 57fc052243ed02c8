import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../core/errors.ts';
import type { BuildDeps } from './run.ts';

/** What make and the compiler read from the environment. */
const FLAGS = ['CC', 'CFLAGS', 'CPPFLAGS', 'LDFLAGS', 'LDLIBS', 'SOURCE_DATE_EPOCH'];
const QUERY_TIMEOUT_MS = 30_000;

/**
 * What the binary depends on, as SHA-256 in hex: every source file, the compiler, the flags, and the versions of the libraries that it
 * is built with. Throws a FiredrillError (`config`) when there are no sources.
 */
export async function contentKey(source: string, deps: Pick<BuildDeps, 'command' | 'env'>): Promise<string> {
  const files = globSync('**/*', { cwd: source, exclude: (name) => name.startsWith('build') && !name.includes('.') })
    .filter((file) => statSync(join(source, file)).isFile())
    .sort();
  if (!files.includes('Makefile')) {
    throw new FiredrillError({ code: 'config', what: 'no Makefile', where: source, fix: 'Check the input source' });
  }
  const key = createHash('sha256');
  for (const file of files) key.update(`${file}\0${digest(readFileSync(join(source, file)))}\0`);
  for (const name of FLAGS) key.update(`${name}=${deps.env[name] ?? ''}\0`);
  key.update(await output(deps, [deps.env.CC ?? 'cc', '--version']));
  key.update(await packageVersions(source, deps));
  return key.digest('hex');
}

/** Versions of the packages in build-deps.txt; empty where dpkg is not at hand. */
async function packageVersions(source: string, deps: Pick<BuildDeps, 'command' | 'env'>): Promise<string> {
  const list = join(source, 'build-deps.txt');
  if (!existsSync(list)) return '';
  const packages = readFileSync(list, 'utf8')
    .split(/\s+/)
    .filter((name) => name !== '');
  return await output(deps, ['dpkg-query', '--show', ...packages]).catch(() => '');
}

async function output(deps: Pick<BuildDeps, 'command' | 'env'>, argv: readonly string[]): Promise<string> {
  const lines: string[] = [];
  await deps.command(argv, { timeoutMs: QUERY_TIMEOUT_MS, env: deps.env, onLine: (line) => lines.push(line) });
  return lines.sort().join('\n');
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
