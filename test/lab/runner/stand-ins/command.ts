import { execFile } from 'node:child_process';
import { FiredrillError } from '../../../../actions/core/errors.ts';

const TIMEOUT_MS = 120_000;

/** Runs a host command and gives its standard output, trimmed. Throws a FiredrillError (`remote`) with its standard error. */
export async function command(argv: readonly string[], cwd: string): Promise<string> {
  const [file = '', ...args] = argv;
  return await new Promise((resolve, reject) => {
    execFile(file, args, { cwd, timeout: TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim());
      else {
        const what = `${argv.join(' ')}: ${stderr.trim() || error.message}`;
        reject(new FiredrillError({ code: 'remote', what, cause: error }));
      }
    });
  });
}
