import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, utimesSync } from 'node:fs';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { withLock } from './lock.ts';
import { endAll, processesIn } from './orphans.ts';
import { removeFolder } from './overlay.ts';

/** The key of an artefact: of everything that it is made from, in a stable form. */
export function cacheKey(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

export interface Artefact {
  readonly cacheDir: string;
  /** `image`, `build-root`. */
  readonly kind: string;
  readonly key: string;
  readonly log: (line: string) => void;
  /** Makes it in an empty folder. */
  readonly build: (folder: string) => Promise<void>;
}

const waitMs = 900_000;
const unusedMs = 30 * 24 * 3600 * 1000;

/**
 * The folder of an artefact, built unless the cache has it. It appears under its name only when it is whole; a build that was cut
 * short is removed by the next one, and two builders at once build it once.
 */
export async function ensureArtefact(artefact: Artefact): Promise<string> {
  const { cacheDir, kind, key, log } = artefact;
  const folder = `${cacheDir}/${kind}-${key}`;
  if (existsSync(folder)) {
    const now = new Date();
    utimesSync(folder, now, now);
    return folder;
  }
  mkdirSync(cacheDir, { recursive: true });
  return withLock(`${cacheDir}/${kind}.lock`, waitMs, async () => {
    if (existsSync(folder)) return folder;
    await removeUnfinished(cacheDir, kind);
    await removeUnused(cacheDir, kind);
    const unfinished = `${cacheDir}/${unfinishedPrefix}${kind}-${key}`;
    mkdirSync(unfinished);
    const startedAt = performance.now();
    try {
      await artefact.build(unfinished);
      renameSync(unfinished, folder);
    } finally {
      await removeFolder(unfinished);
    }
    log(`${kind}: built in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
    return folder;
  });
}

const unfinishedPrefix = 'unfinished-';

/** Removes what killed builders left behind, running processes included, and leaves living builders alone; gives how many. */
export async function sweepCache(cacheDir: string): Promise<number> {
  const kinds = new Set(
    unfinishedIn(cacheDir).map((name) => name.slice(unfinishedPrefix.length).replace(/-[^-]*$/, '')),
  );
  let count = 0;
  for (const kind of kinds) {
    const sweepKind = async (): Promise<void> => {
      count += await removeUnfinished(cacheDir, kind);
    };
    // Held: somebody is building this very thing.
    await withLock(`${cacheDir}/${kind}.lock`, 0, sweepKind).catch(ignoreTimeout);
  }
  return count;
}

function ignoreTimeout(error: unknown): void {
  if (!(error instanceof FiredrillError) || error.code !== 'timeout') throw error;
}

/** With the lock held: so nobody alive is building, and what still runs for an unfinished artefact has lost its builder. */
async function removeUnfinished(cacheDir: string, kind: string): Promise<number> {
  const names = unfinishedIn(cacheDir).filter((name) => name.startsWith(`${unfinishedPrefix}${kind}-`));
  for (const name of names) {
    const folder = `${cacheDir}/${name}`;
    await endAll(() => processesIn(folder), 0);
    await removeFolder(folder);
  }
  return names.length;
}

/** With the lock held: what nobody used for a month. */
async function removeUnused(cacheDir: string, kind: string): Promise<void> {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8');
  for (const name of readdirSync(cacheDir).filter((each) => each.startsWith(`${kind}-`))) {
    const folder = `${cacheDir}/${name}`;
    if (Date.now() - statSync(folder).mtimeMs > unusedMs && !mounts.includes(folder)) await removeFolder(folder);
  }
}

function unfinishedIn(cacheDir: string): string[] {
  return existsSync(cacheDir) ? readdirSync(cacheDir).filter((name) => name.startsWith(unfinishedPrefix)) : [];
}
