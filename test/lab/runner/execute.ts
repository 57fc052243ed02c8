import { join } from 'node:path';
import { messageOf } from '../../../actions/core/errors.ts';
import { createCommandReader } from './commands.ts';
import { defaultVariables } from './contexts.ts';
import { createCommandFiles, type FileCommands } from './file-commands.ts';
import type { Frame, JobRun } from './job-run.ts';
import { runProcess } from './process.ts';
import type { Annotation } from './types.ts';

export interface Execution {
  readonly step: string;
  readonly argv: readonly string[];
  readonly cwd: string;
  /** Of the step: its env, INPUT_*, STATE_*. */
  readonly env: Readonly<Record<string, string>>;
  readonly print: (line: string) => void;
}

export interface Executed {
  readonly conclusion: 'success' | 'failure' | 'cancelled';
  readonly outputs: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, string>>;
}

const CONTAINER_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const NOTHING: FileCommands = { outputs: {}, state: {}, env: {}, path: [], summary: '' };

/**
 * Runs one process of a step, on the host or in the job's container, with everything that GitHub's runner puts around it: environment,
 * workflow commands in its output, file commands, cancellation and deadline.
 */
export async function execute(frame: Frame, request: Execution): Promise<Executed> {
  const { run } = frame;
  const files = createCommandFiles(join(run.directories.temp, '_runner_file_commands'));
  const refusals: string[] = [];
  const onLine = createCommandReader({
    print: request.print,
    mask: run.masks.add,
    annotate: (level, message, properties) => annotate(run, level, request.step, message, properties),
    refuse: (message) => refusals.push(message),
  });
  const cancel = run.cancellation.signal();
  const signal = AbortSignal.any([cancel, ...frame.timeouts]);
  const environment = { ...stepEnvironment(frame, request.env), ...files.env };
  let code: number;
  try {
    code = await start(run, { ...request, env: environment, onLine, signal });
  } catch (error) {
    code = -1;
    refusals.push(`could not start ${request.argv[0] ?? ''}: ${messageOf(error)}`);
  }
  const written = apply(run, files.collect, refusals);
  if (code !== 0 && !signal.aborted) refusals.unshift(`Process completed with exit code ${code}.`);
  if (signal.aborted && !cancel.aborted) refusals.unshift(`The step took longer than its timeout-minutes.`);
  for (const message of refusals) fail(run, request.step, message, request.print);
  const conclusion = cancel.aborted ? 'cancelled' : refusals.length > 0 ? 'failure' : 'success';
  return { conclusion, outputs: written.outputs, state: written.state };
}

/** An error that is not the process's own: annotated and printed as GitHub's runner does. */
export function fail(run: JobRun, step: string, message: string, print: (line: string) => void): void {
  annotate(run, 'error', step, message);
  print(`##[error]${message}`);
}

/** Keeps an annotation for the run's result, masked. */
export function annotate(
  run: JobRun,
  level: Annotation['level'],
  step: string,
  message: string,
  properties: Readonly<Record<string, string>> = {},
): void {
  const masked = { message: run.masks.apply(message), step: run.masks.apply(step) };
  run.annotations.push({ level, ...masked, job: run.job.id, properties });
}

async function start(
  run: JobRun,
  request: Omit<Execution, 'print' | 'step'> & { onLine: (line: string) => void; signal: AbortSignal },
): Promise<number> {
  const { argv, cwd, env, onLine, signal } = request;
  const containers = run.options.containers;
  if (run.container === undefined || containers === undefined) {
    return (await runProcess({ argv, cwd, env, onLine, signal, grace: run.grace })).code;
  }
  const timeoutMs = 6 * 60 * 60_000; // the signal carries the real deadline
  return (await containers.run({ ...run.container, argv, cwd, env, onLine, signal, timeoutMs })).code;
}

function stepEnvironment(frame: Frame, own: Readonly<Record<string, string>>): Record<string, string> {
  const { run } = frame;
  const host = run.options.hostEnv ?? { PATH: process.env.PATH ?? CONTAINER_PATH, LANG: 'C.UTF-8', USER: 'runner' };
  const base = run.container === undefined ? host : { PATH: CONTAINER_PATH, LANG: 'C.UTF-8' };
  const merged: Record<string, string> = {
    ...base,
    HOME: run.directories.home,
    ...run.env,
    ...frame.env,
    ...own,
    ...defaultVariables(frame),
  };
  return { ...merged, PATH: [...run.path, merged.PATH].join(':') };
}

function apply(run: JobRun, collect: () => FileCommands, refusals: string[]): FileCommands {
  let written = NOTHING;
  try {
    written = collect();
  } catch (error) {
    refusals.push(messageOf(error));
  }
  Object.assign(run.env, written.env);
  for (const path of written.path) run.path.unshift(path);
  if (written.summary !== '') run.summaries.push(written.summary);
  return written;
}
