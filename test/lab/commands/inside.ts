import { spawn } from 'node:child_process';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { clone, nodeBinary, region } from '../paths.ts';
import type { PipelineOptions } from '../pipeline.ts';
import { regionPid } from '../region-client.ts';

/** Whether this process runs in the lab's network namespace already. */
export const isInside = process.env.FIREDRILL_LAB_INSIDE === '1';

/** Runs a lab command once more inside the lab's network namespace, from where the machines and the APIs can be reached. Gives its exit code. */
export async function runInside(words: readonly string[], options: PipelineOptions): Promise<number> {
  const { from, verbose, repeat, against } = options;
  const flags = [`--from=${from}`, `--repeat=${repeat}`, `--against=${against}`, ...(verbose ? ['--verbose'] : [])];
  return await runScriptInside(`${clone}/test/lab/cli.ts`, [...flags, ...words]);
}

/** Runs a script of this clone there. Gives its exit code. */
export async function runScriptInside(script: string, words: readonly string[]): Promise<number> {
  const args = [`--net=/run/netns/${region.namespace}`, nodeBinary, script, ...words];
  const child = spawn('nsenter', args, {
    cwd: clone,
    stdio: 'inherit',
    env: { ...process.env, FIREDRILL_LAB_INSIDE: '1' },
  });
  // Ctrl-C reaches the child by itself; here it only must not end the parent before its child has cleaned up.
  const ignore = (): void => {};
  const pass = (): void => void child.kill('SIGTERM');
  process.on('SIGINT', ignore);
  process.on('SIGTERM', pass);
  try {
    return await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (code) => resolve(code ?? 130));
    });
  } finally {
    process.off('SIGINT', ignore);
    process.off('SIGTERM', pass);
  }
}

/** Throws unless a kept fleet is up. */
export function mustBeUp(): void {
  if (regionPid() !== undefined) return;
  throw new FiredrillError({ code: 'config', what: 'no lab is up', fix: 'Run: npm run lab -- --keep' });
}
