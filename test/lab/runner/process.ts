import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Grace } from './types.ts';

export interface ProcessSpec {
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  /** Aborted when the process is to stop. */
  readonly signal: AbortSignal;
  readonly grace: Grace;
}

/** How long the output of left-over children is read after the process itself ended. */
const DRAIN_MS = 5000;

/**
 * Runs a process in its own process group. On abort it gets SIGINT, then SIGTERM, then its whole group SIGKILL, with GitHub's pauses.
 * Gives its exit code, -1 when a signal ended it. Rejects only when it can't be started.
 */
export async function runProcess(spec: ProcessSpec): Promise<{ code: number }> {
  const [command = '', ...args] = spec.argv;
  const child = spawn(command, args, {
    cwd: spec.cwd,
    env: spec.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const flush = [child.stdout, child.stderr].map((stream) => readLines(stream, spec.onLine));
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const exited = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? -1));
  });
  const stopped = stopOnAbort(spec.signal, spec.grace, (signal) => {
    if (child.pid === undefined) return;
    tryKill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
  });
  try {
    const code = await exited;
    // A step that was stopped leaves nothing behind; one that ended by itself may, until the job ends.
    if (spec.signal.aborted && child.pid !== undefined) tryKill(-child.pid, 'SIGKILL');
    await Promise.race([closed, unrefDelay(DRAIN_MS)]);
    return { code };
  } finally {
    stopped();
    for (const end of flush) end();
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Ends whatever the job's steps left running: they all carry its RUNNER_TRACKING_ID. Gives the number of processes ended. */
export function killOrphans(trackingId: string): number {
  return killByEnvironment((variable) => variable === `RUNNER_TRACKING_ID=${trackingId}`);
}

/** Ends what a runner that was itself killed left behind: every step whose workspace is below `workDir`. */
export function killStrays(workDir: string): number {
  return killByEnvironment((variable) => variable.startsWith(`GITHUB_WORKSPACE=${resolve(workDir)}/`));
}

function killByEnvironment(matches: (variable: string) => boolean): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  return pids.filter((pid) => environmentOf(pid).some(matches) && tryKill(Number(pid), 'SIGKILL')).length;
}

/** Sends the three signals with their pauses once the signal aborts; the returned function calls it off. */
function stopOnAbort(signal: AbortSignal, grace: Grace, kill: (signal: NodeJS.Signals) => void): () => void {
  const timers: NodeJS.Timeout[] = [];
  const stop = (): void => {
    kill('SIGINT');
    timers.push(setTimeout(() => kill('SIGTERM'), grace.interruptMs));
    timers.push(setTimeout(() => kill('SIGKILL'), grace.interruptMs + grace.terminateMs));
  };
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  return () => {
    signal.removeEventListener('abort', stop);
    for (const timer of timers) clearTimeout(timer);
  };
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): () => void {
  let pending = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (pending + chunk).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) onLine(line.replace(/\r$/, ''));
  });
  return () => {
    if (pending !== '') onLine(pending);
    pending = '';
  };
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return []; // it ended, or it is a kernel thread
  }
}

function tryKill(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false; // it has ended by itself
  }
}

function unrefDelay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
