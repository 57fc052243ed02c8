/**
 * The sandbox: a Node script with real Debian 13 programs around it, in a network, process and file system of their own.
 *
 *   outside   const root = await ensureBuildRoot(cacheDir, packages, log);      // test/lab/machines/build-root.ts
 *             const code = await runInSandbox({ root, script, args, binds, timeoutMs, onLine });
 *   script    import { run, start, stopAll, waitForPort } from '../sandbox/inside.ts';
 *             await start('redis-server', ['--port', '6379']);                   // the root's redis-server, its pid ours
 *
 * The script runs under Node 24 as process 1 of fresh network, mount and process namespaces: only loopback (all of 127.0.0.0/8), no
 * way out, nft rules of its own, and every process ends with it, also when the caller is killed. It sees the host's files (its
 * imports, `out/`) and, below `sandboxRoot`, the Debian 13 root: what is written there goes to memory and is forgotten. The root is
 * shared with others and never changed. /proc and /dev are mounted in it, and what `binds` names.
 * Any number can run at once. Needs root, like the lab.
 */
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { FiredrillError } from '../../actions/core/errors.ts';
import { start } from '../lab/machines/exec.ts';
import { nodeBinary } from '../lab/paths.ts';

export interface SandboxBind {
  readonly source: string;
  /** In the root; made if need be. */
  readonly target: string;
  /** What is built or measured on a real disk goes to a folder bound so. Without it the bind can only be read. */
  readonly writable?: boolean;
}

export interface Sandbox {
  /** What ensureBuildRoot gave, or any other root. */
  readonly root: string;
  /** A TypeScript file of this repository: URL (`new URL('./x.ts', import.meta.url)`) or path. */
  readonly script: URL | string;
  readonly args?: readonly string[];
  readonly binds?: readonly SandboxBind[];
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Each line that the script, or a program that inherits its output, prints. */
  readonly onLine?: (line: string) => void;
  /** Aborted: all its processes are killed at once. */
  readonly signal?: AbortSignal;
}

/** Only a place to mount at, in each sandbox's own mount namespace: it stays empty, and all sandboxes share it. */
const mountPoint = '/run/firedrill-sandbox';

/** Runs as the new namespaces' first process and becomes the script: $1 root, then binds as (source, target, ro|rw), --, the command. */
const prepare = `set -eu
ip link set lo up
at=${mountPoint}
mount -t tmpfs -o mode=755 sandbox $at
mkdir $at/upper $at/work $at/root
mount -t overlay -o "lowerdir=$1,upperdir=$at/upper,workdir=$at/work" sandbox $at/root
mount -t proc proc $at/root/proc
mount --rbind /dev $at/root/dev
shift
while [ "$1" != -- ]; do
  mkdir -p "$at/root$2"
  mount --bind "$1" "$at/root$2"
  [ "$3" = rw ] || mount -o remount,bind,ro "$at/root$2"
  shift 3
done
shift
exec "$@"`;

/** The command that runs `argv` in a fresh sandbox. */
function sandboxArgv(root: string, binds: readonly SandboxBind[], argv: readonly string[]): string[] {
  return [
    // unshare is killed when its parent ends in any way, and takes process 1 with it, which takes all the others.
    ...['setpriv', '--pdeathsig', 'KILL'],
    ...['unshare', '--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'],
    ...['sh', '-c', prepare, 'sandbox', root],
    ...binds.flatMap((bind) => [bind.source, bind.target, bind.writable === true ? 'rw' : 'ro']),
    ...['--', ...argv],
  ];
}

/** Runs the script and gives its exit code. Rejects with a FiredrillError (`timeout`) after `timeoutMs`; nothing of it runs then. */
export async function runInSandbox(sandbox: Sandbox): Promise<number> {
  mkdirSync(mountPoint, { recursive: true });
  const script = sandbox.script instanceof URL ? fileURLToPath(sandbox.script) : sandbox.script;
  const argv = [nodeBinary, script, ...(sandbox.args ?? [])];
  const env = { ...process.env, ...sandbox.env, FIREDRILL_SANDBOX_ROOT: `${mountPoint}/root` };
  const child = start(sandboxArgv(sandbox.root, sandbox.binds ?? [], argv), { stdio: ['ignore', 'pipe', 'pipe'], env });
  for (const stream of [child.stdout, child.stderr])
    if (stream) createInterface({ input: stream }).on('line', (line) => sandbox.onLine?.(line));
  const kill = (): void => void child.kill('SIGKILL');
  let overrun = false;
  const timer = setTimeout(() => {
    overrun = true;
    kill();
  }, sandbox.timeoutMs);
  if (sandbox.signal?.aborted) kill();
  else sandbox.signal?.addEventListener('abort', kill, { once: true });
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (status) => resolve(status ?? 128));
    });
    if (!overrun) return code;
    throw new FiredrillError({
      code: 'timeout',
      what: `${script} in its sandbox took longer than ${sandbox.timeoutMs} ms`,
    });
  } finally {
    clearTimeout(timer);
    sandbox.signal?.removeEventListener('abort', kill);
  }
}
