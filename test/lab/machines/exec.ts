import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { FiredrillError } from '../../../actions/core/errors.ts';

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
  /** For the error: what to do when the command fails. */
  readonly fix?: string;
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const keptCharacters = 1_000_000;

/** Runs a command and gives its exit code and output. Rejects when it can't be started or overruns `timeoutMs` (default 30 s). */
export async function tryRun(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = start(argv, {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    const stream = child[name];
    if (stream === null) continue;
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output[name] = (output[name] + text).slice(-keptCharacters);
    });
    if (options.onLine !== undefined) createInterface({ input: stream }).on('line', options.onLine);
  }
  // The command may end without reading its input: that is its own business.
  child.stdin?.on('error', () => {});
  child.stdin?.end(options.input ?? '');
  const timeoutMs = options.timeoutMs ?? 30_000;
  let overrun = false;
  const timer = setTimeout(() => {
    overrun = true;
    child.kill('SIGTERM');
    setTimeout(() => child.kill('SIGKILL'), 3_000).unref();
  }, timeoutMs);
  try {
    const code = await closed(child, argv);
    if (!overrun) return { code, ...output };
    throw new FiredrillError({ code: 'timeout', what: `${show(argv)} took longer than ${timeoutMs} ms` });
  } finally {
    clearTimeout(timer);
  }
}

/** The same, and rejects with the last lines of stderr when the exit code is not 0. */
export async function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const result = await tryRun(argv, options);
  if (result.code === 0) return result;
  const said = lastLines(result.stderr === '' ? result.stdout : result.stderr);
  throw new FiredrillError({
    code: 'remote',
    what: `${show(argv)} failed with ${result.code}${said === '' ? '' : `: ${said}`}`,
    ...(options.fix === undefined ? {} : { fix: options.fix }),
  });
}

/** Spawns a command; a program that is not there is a rejection of `closed`, not an uncaught event. */
export function start(argv: readonly string[], options: SpawnOptions): ChildProcess {
  const [program, ...args] = argv;
  if (program === undefined) throw new FiredrillError({ code: 'bug', what: 'an empty command' });
  return spawn(program, args, options);
}

function closed(child: ChildProcess, argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new FiredrillError({ code: 'remote', what: `could not start ${show(argv)}: ${cause.message}`, cause })),
    );
    child.once('close', (code, signal) => resolve(code ?? (signal === null ? 1 : 128)));
  });
}

function show(argv: readonly string[]): string {
  const text = argv.join(' ');
  return text.length > 160 ? `${text.slice(0, 160)}...` : text;
}

function lastLines(text: string, count = 5): string {
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
