/** What a script in the sandbox uses; run.ts says what a sandbox is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The Debian 13 root, as the script sees it. */
export const sandboxRoot = process.env.FIREDRILL_SANDBOX_ROOT ?? '';

/** A path of the root as the script sees it. */
export function inRoot(path: string): string {
  return `${sandboxRoot}${path}`;
}

/** Writes a file in the root, with the folders above it. Anyone may read it. */
export function writeInRoot(path: string, text: string): void {
  mkdirSync(dirname(inRoot(path)), { recursive: true });
  writeFileSync(inRoot(path), text);
}

export interface Program {
  /** The program's own: there is no shell and no wrapper around it. */
  readonly pid: number;
  readonly running: () => boolean;
  /** Also reaches a stopped program: SIGKILL and SIGCONT do. Nothing happens when it has ended. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Exit code; 128 when a signal ended it. */
  readonly ended: Promise<number>;
  /** What it printed so far; empty when it prints to a file. */
  readonly output: () => string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Of the root: stdout and stderr are appended to it. Without it `output` keeps their last 100,000 characters. */
  readonly logFile?: string;
}

const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', HOME: '/root' };
const keptCharacters = 100_000;
const programs = new Set<Program>();

/** Starts a program of the root, in the root. Rejects when it isn't there. It ends at the latest with the sandbox. */
export async function start(program: string, args: readonly string[], options: StartOptions = {}): Promise<Program> {
  const log = options.logFile === undefined ? 'pipe' : openSync(inRoot(options.logFile), 'a');
  const child = spawn('chroot', [sandboxRoot, program, ...args], {
    stdio: ['ignore', log, log],
    env: { ...environment, ...options.env },
  });
  if (log !== 'pipe') closeSync(log);
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      text = (text + chunk).slice(-keptCharacters);
    });
  return track(child, await pidOf(child, program), () => text);
}

function track(child: ChildProcess, pid: number, output: () => string): Program {
  const running = (): boolean => child.exitCode === null && child.signalCode === null;
  const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 128)));
  const signal = (name: NodeJS.Signals): void => void (running() && process.kill(pid, name));
  const program: Program = { pid, running, signal, ended, output };
  programs.add(program);
  void ended.then(() => programs.delete(program));
  return program;
}

async function pidOf(child: ChildProcess, program: string): Promise<number> {
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(new Error(`could not start ${program}`, { cause })));
  });
  if (child.pid === undefined) throw new Error(`could not start ${program}`);
  return child.pid;
}

/** Kills all programs that were started and waits until they are gone. */
export async function stopAll(): Promise<void> {
  const all = [...programs];
  for (const program of all) program.signal('SIGKILL');
  await Promise.all(all.map((program) => program.ended));
}

/** Runs a program of the root to its end and gives its output. Rejects with the output when it fails or overruns (default 60 s). */
export async function run(program: string, args: readonly string[], timeoutMs = 60_000): Promise<string> {
  const started = await start(program, args);
  const timer = setTimeout(() => started.signal('SIGKILL'), timeoutMs);
  const code = await started.ended;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} failed with ${code}:\n${started.output()}`);
  return started.output();
}

/** Resolves when something accepts connections there. Rejects after `timeoutMs`. */
export async function waitForPort(port: number, host = '127.0.0.1', timeoutMs = 10_000): Promise<void> {
  await waitFor(
    timeoutMs,
    `${host}:${port} to listen`,
    () =>
      new Promise<boolean>((resolve) => {
        const socket = connect({ port, host });
        const end = (connected: boolean): void => {
          socket.destroy();
          resolve(connected);
        };
        socket.once('connect', () => end(true)).once('error', () => end(false));
      }),
  );
}

/** Asks every `pollMs` until the answer is true; a rejection counts as false. Rejects after `timeoutMs` and says what it waited for. */
export async function waitFor(
  timeoutMs: number,
  what: string,
  probe: () => Promise<boolean>,
  pollMs = 20,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let last = '';
  for (;;) {
    const answer = await probe().catch((error: unknown) => {
      last = ` (last: ${String(error)})`;
      return false;
    });
    if (answer) return;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}${last}`);
    await sleep(pollMs);
  }
}

/** Nanoseconds on a processor so far, of all threads that the process has now. */
export function cpuTimeNs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  const times = threads.map((id) => Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]));
  return times.reduce((sum, time) => sum + time, 0);
}
