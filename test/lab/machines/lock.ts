import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { start } from './exec.ts';

/**
 * Runs `work` while this process alone holds `file`, waiting up to `timeoutMs` for another to let go. The kernel's lock, held by a
 * child that ends with this process: a killed builder leaves nothing locked.
 */
export async function withLock<T>(file: string, timeoutMs: number, work: () => Promise<T>): Promise<T> {
  mkdirSync(file.slice(0, file.lastIndexOf('/')), { recursive: true });
  const wait = Math.ceil(timeoutMs / 1000);
  const argv = ['flock', '--exclusive', `--timeout=${wait}`, file, 'sh', '-c', 'echo held; exec cat >/dev/null'];
  const holder = start(argv, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  const held = await new Promise<boolean>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('exit', () => resolve(false));
    if (holder.stdout !== null) createInterface({ input: holder.stdout }).once('line', () => resolve(true));
  });
  if (!held)
    throw new FiredrillError({
      code: 'timeout',
      where: file,
      what: `another process has held this for ${wait} s`,
      fix: `See who with: fuser ${file}`,
    });
  try {
    return await work();
  } finally {
    // The lock is free when its holder is gone, not when it is told to go.
    const gone = holder.exitCode === null ? once(holder, 'exit') : undefined;
    holder.stdin?.end();
    await gone;
  }
}
