import { createInterface } from 'node:readline';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { cacheKey, ensureArtefact } from './cache.ts';
import { cgroupKind, inCgroup, makeCgroups, removeCgroups } from './cgroups.ts';
import { start } from './exec.ts';
import { bootstrap } from './image.ts';
import { type Lab, machineId } from './lab.ts';
import { type Bind, commandArgv } from './nspawn.ts';
import { bootstrapArgv, buildRootPackages } from './packages.ts';
import { labProcesses, signal } from './processes.ts';
import { endProcesses, removePropagation } from './supervisor.ts';

/** A Debian 13 root with `packages`, git and certificates, from the cache or built. Gives its folder, which nobody changes. */
export async function ensureBuildRoot(
  cacheDir: string,
  packages: readonly string[],
  log: (line: string) => void,
): Promise<string> {
  const all = [...new Set([...packages, ...buildRootPackages])].sort();
  return ensureArtefact({
    cacheDir,
    kind: 'build-root',
    key: cacheKey(bootstrapArgv('ROOT', all)),
    log,
    build: async (unfinished) => {
      log(`build root: building (Debian 13 with ${all.length} packages and what they need)`);
      await bootstrap(unfinished, bootstrapArgv(`${unfinished}/root`, all));
    },
  }).then((folder) => `${folder}/root`);
}

export interface BuildRootCommand {
  /** What ensureBuildRoot gave. */
  readonly root: string;
  readonly binds: readonly Bind[];
  /** In the root; made if need be by a bind there. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** A network namespace's path; without it the caller's network. */
  readonly netns?: string;
  readonly timeoutMs: number;
  readonly onLine?: (line: string) => void;
  /** Aborted: the command gets SIGINT, and is killed when it is not gone `stopMs` later. */
  readonly signal?: AbortSignal;
}

const stopMs = 10_000;

// nspawn says so at its end where /run is on a disk; the folder is removed here.
const nspawnNoise = 'Attempted to remove disk file system under "/run/systemd/nspawn/';

let count = 0;

/**
 * Runs a command in a build root and gives its exit code. Outside the binds it writes to memory, and that is forgotten; several can
 * run at once. Rejects when `timeoutMs` pass (all its processes are killed then).
 */
export async function runInBuildRoot(lab: Lab, command: BuildRootCommand): Promise<number> {
  count += 1;
  const id = machineId(lab, `build-${process.pid}-${count}`);
  const kind = cgroupKind();
  makeCgroups(kind, lab, id);
  const { timeoutMs, onLine, signal: cancel, ...args } = command;
  const child = start(inCgroup(kind, lab, id, commandArgv({ ...args, machine: id })), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null || stream === undefined) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (!line.startsWith(nspawnNoise)) onLine?.(line);
    });
  }
  let overrun = false;
  const timer = setTimeout(() => {
    overrun = true;
    void endProcesses(lab, id);
  }, timeoutMs);
  let stopTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    for (const each of labProcesses(lab)) if (each.id === id && each.inside) signal(each.pid, 'SIGINT');
    stopTimer = setTimeout(() => void endProcesses(lab, id), stopMs);
  };
  if (cancel?.aborted) stop();
  else cancel?.addEventListener('abort', stop, { once: true });
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? 128));
    });
    if (!overrun) return code;
    throw new FiredrillError({
      code: 'timeout',
      what: `${command.argv.join(' ')} in the build root took longer than ${timeoutMs} ms`,
    });
  } finally {
    clearTimeout(timer);
    clearTimeout(stopTimer);
    cancel?.removeEventListener('abort', stop);
    await endProcesses(lab, id);
    removeCgroups(lab, id);
    removePropagation(id);
  }
}
