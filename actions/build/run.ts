import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FiredrillError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { findDiagnostics } from './diagnostics.ts';
import type { BuildInputs } from './inputs.ts';
import { contentKey } from './key.ts';
import type { Command } from './make.ts';

export interface BuildDeps {
  readonly command: Command;
  readonly log: Log;
  readonly tempDir: string;
  /** How many compilers run at once. */
  readonly jobs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface BuildResult {
  readonly binary: string;
  readonly sha256: string;
  readonly cached: boolean;
}

const BINARY = 'sessiond';
const MAKE_TIMEOUT_MS = 10 * 60_000;

/**
 * Tests the C service, builds it twice in two folders, holds the two binaries against each other byte by byte, and leaves one of
 * them with its SHA-256. An earlier result for the same key, whose binary still has its SHA-256, is used as it is.
 * Throws a FiredrillError (`config`) when the tests or the compiler fail; each error of the compiler is annotated at its place.
 */
export async function run(inputs: BuildInputs, deps: BuildDeps): Promise<BuildResult> {
  const key = await contentKey(inputs.source, deps);
  const binary = join(inputs.output, BINARY);
  const earlier = earlierBuild(inputs.output, key);
  if (earlier !== undefined) {
    deps.log.info(`${binary} is built from these sources already: sha256 ${earlier}`);
    return { binary, sha256: earlier, cached: true };
  }
  const temp = mkdtempSync(join(deps.tempDir, 'build-'));
  try {
    await deps.log.group('Test', () => make(inputs, deps, inputs.source, join(temp, 'test'), ['test']));
    const [first, second] = await deps.log.group('Release, twice', () => buildTwice(inputs, deps, temp));
    if (!first.equals(second)) throw notReproducible(first, second);
    const sha256 = digest(first);
    mkdirSync(inputs.output, { recursive: true });
    writeFileSync(binary, first, { mode: 0o755 });
    writeFileSync(join(inputs.output, `${BINARY}.sha256`), `${sha256}  ${BINARY}\n`);
    writeFileSync(join(inputs.output, 'key'), `${key}\n`);
    deps.log.info(`${binary}: ${first.length} bytes, sha256 ${sha256}, the same from two folders`);
    return { binary, sha256, cached: false };
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
}

/** From copies of the source in folders whose names differ in length: a path that slips into the binary shows. */
async function buildTwice(inputs: BuildInputs, deps: BuildDeps, temp: string): Promise<[Buffer, Buffer]> {
  const build = async (name: string): Promise<Buffer> => {
    const source = join(temp, name);
    cpSync(inputs.source, source, { recursive: true });
    await make(inputs, deps, source, join(source, 'release'), []);
    return readFileSync(join(source, 'release', BINARY));
  };
  return [await build('a'), await build('another-folder')];
}

/** `folder` is where make runs, the source or a copy of it; what it says is shown as being about the source. */
async function make(
  inputs: BuildInputs,
  deps: BuildDeps,
  folder: string,
  output: string,
  targets: readonly string[],
): Promise<void> {
  const argv = ['make', '--no-print-directory', '-C', folder, `-j${deps.jobs}`, `BUILD=${output}`, ...targets];
  const lines: string[] = [];
  const result = await deps.command(argv, {
    timeoutMs: MAKE_TIMEOUT_MS,
    env: { ...deps.env, LC_ALL: 'C' },
    onLine: (line) => {
      lines.push(line);
      deps.log.info(line);
    },
  });
  if (result.code === 0) return;
  const found = findDiagnostics(lines, folder, inputs.source);
  for (const { message, ...place } of found) deps.log.error(message, place);
  const what = targets.includes('test') ? "the C service's tests fail" : 'the C service does not build';
  const [first] = found;
  throw new FiredrillError({
    code: 'config',
    what:
      first === undefined
        ? `${what}: ${lines.at(-1) ?? `make ended with ${result.code}`}`
        : `${what}: ${first.message}`,
    where: first === undefined ? inputs.source : `${first.file}:${first.line}`,
    fix: `Run make -C ${inputs.source} ${targets.join(' ')}`.trimEnd(),
  });
}

/** The SHA-256 of an earlier build, when its key is the same and its binary is unharmed. */
function earlierBuild(output: string, key: string): string | undefined {
  const files = ['key', BINARY, `${BINARY}.sha256`].map((name) => join(output, name));
  if (!files.every((file) => existsSync(file))) return undefined;
  const [keyFile = '', binary = '', sumFile = ''] = files;
  const sum = readFileSync(sumFile, 'utf8').split(' ')[0] ?? '';
  return readFileSync(keyFile, 'utf8').trim() === key && digest(readFileSync(binary)) === sum ? sum : undefined;
}

function notReproducible(first: Buffer, second: Buffer): FiredrillError {
  const differs = first.findIndex((byte, index) => byte !== second[index]);
  const at = first.length === second.length ? `from byte ${differs} on` : `${first.length} and ${second.length} bytes`;
  return new FiredrillError({
    code: 'config',
    what: `two builds of the same sources in two folders differ (${at})`,
    fix: 'Look for __DATE__, __TIME__, __FILE__ and paths in debug information; -ffile-prefix-map removes the latter',
  });
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
