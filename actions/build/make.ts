import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { FiredrillError } from '../core/errors.ts';

export interface CommandOptions {
  readonly timeoutMs: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly onLine: (line: string) => void;
}

/** Runs a program and hands over each line that it prints. Its exit code is in the result, whatever it is. */
export type Command = (argv: readonly string[], options: CommandOptions) => Promise<{ readonly code: number }>;

/** Throws a FiredrillError: `config` when the program is not installed, `timeout` when it took too long (its children are ended too). */
export const runCommand: Command = async (argv, options) => {
  const [file = '', ...args] = argv;
  const child = spawn(file, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const readers = [child.stdout, child.stderr].map((input) => createInterface({ input }).on('line', options.onLine));
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, options.timeoutMs);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode) => resolve(exitCode ?? -1));
    });
    if (late)
      throw new FiredrillError({ code: 'timeout', what: `${argv.join(' ')} took longer than ${options.timeoutMs} ms` });
    return { code };
  } catch (error) {
    if (error instanceof FiredrillError) throw error;
    const fix = 'Install what c-app/build-deps.txt lists';
    throw new FiredrillError({ code: 'config', what: `${file} can't be started`, fix, cause: error });
  } finally {
    clearTimeout(timer);
    for (const reader of readers) reader.close();
  }
};
