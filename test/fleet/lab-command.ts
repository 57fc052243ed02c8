import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clone, nodeBinary, region } from '../lab/paths.ts';

export interface Ended {
  readonly code: number | null;
  /** What it printed, standard error included. */
  readonly output: string;
  readonly ms: number;
}

/** A lab command that is under way, in a process group of its own. */
export interface Started {
  readonly child: ChildProcess;
  output(): string;
  readonly ended: Promise<Ended>;
  /** SIGKILL to the whole group, as when the runner's machine is lost. */
  killAll(): void;
}

/** Starts `npm run lab -- ARGS` as a user would. */
export function startLab(args: readonly string[], timeoutMs = 600_000): Started {
  return start('npm', ['run', '--silent', 'lab', '--', ...args], process.env, timeoutMs);
}

export async function runLab(args: readonly string[], timeoutMs?: number): Promise<Ended> {
  return await startLab(args, timeoutMs).ended;
}

/** The same on a fleet that is up, at once: without npm, and in the lab's namespace from the beginning. For who asks a hundred times. */
export function startInside(args: readonly string[], timeoutMs = 600_000): Started {
  const words = [`--net=/run/netns/${region.namespace}`, nodeBinary, `${clone}/test/lab/cli.ts`, ...args];
  return start('nsenter', words, { ...process.env, FIREDRILL_LAB_INSIDE: '1' }, timeoutMs);
}

export async function runInside(args: readonly string[], timeoutMs?: number): Promise<Ended> {
  return await startInside(args, timeoutMs).ended;
}

function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv, timeoutMs: number): Started {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    cwd: clone,
    env,
    detached: true,
    timeout: timeoutMs,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output, ms: performance.now() - startedAt }));
  });
  return {
    child,
    output: () => output,
    ended,
    killAll: () => {
      if (child.pid === undefined || child.exitCode !== null) return;
      process.kill(-child.pid, 'SIGKILL');
    },
  };
}

/** Another clone of this work tree in which a test changes what it likes; `--from` gives it to the lab. */
export function otherClone(): {
  folder: string;
  edit(file: string, change: (text: string) => string): void;
  remove(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'firedrill-clone-'));
  execFileSync('git', ['-c', `safe.directory=${clone}/.git`, 'clone', '--quiet', '--shared', clone, folder], {
    timeout: 60_000,
  });
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: clone,
    encoding: 'utf8',
  });
  for (const file of files.split('\n').filter((each) => each !== '')) {
    if (existsSync(join(clone, file))) cpSync(join(clone, file), join(folder, file));
    else rmSync(join(folder, file), { force: true });
  }
  return {
    folder,
    edit: (file, change) => {
      const before = readFileSync(join(folder, file), 'utf8');
      const after = change(before);
      if (after === before) throw new Error(`nothing changed in ${file}`);
      writeFileSync(join(folder, file), after);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** What a client in the lab gets: status and body. */
export function request(url: string, args: readonly string[] = []): { status: number; body: string } {
  const command = [
    `--net=/run/netns/${region.namespace}`,
    'curl',
    '--silent',
    '--max-time',
    '5',
    '--write-out',
    '\n%{http_code}',
  ];
  const lines = execFileSync('nsenter', [...command, ...args, url], { encoding: 'utf8' }).split('\n');
  return { status: Number(lines.pop()), body: lines.join('\n') };
}

/** When each unit of each node was last started, and which release stands there: a restart of anything changes it. */
export function invocations(): string {
  const args = [`--net=/run/netns/${region.namespace}`, nodeBinary, `${clone}/test/fleet/invocations.ts`];
  return execFileSync('nsenter', args, { encoding: 'utf8', timeout: 30_000 });
}
