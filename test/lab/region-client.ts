import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { sleep, until } from '../../actions/core/deadline.ts';
import { FiredrillError } from '../../actions/core/errors.ts';
import { clone, nodeBinary, outDir, region, stateDir } from './paths.ts';

/** The process that is the lab's region: Linode's API, GitHub's API, the package mirror and the machines. */
export interface Region {
  /** Lets the region outlive this process. Without it the region ends, and takes all down, when this process ends, however it ends. */
  keep(): void;
}

const readyFile = `${stateDir}/region.ready`;

/** The pid of the running region of this clone, or undefined. */
export function regionPid(): number | undefined {
  if (!existsSync(readyFile)) return undefined;
  const pid = Number(readFileSync(readyFile, 'utf8'));
  return isRegion(pid) ? pid : undefined;
}

/** Starts the region inside the lab's network namespace and waits until it serves. Its log is out/logs/region.log. */
export async function startRegion(): Promise<Region> {
  mkdirSync(`${outDir}/logs`, { recursive: true });
  const log = openSync(`${outDir}/logs/region.log`, 'a');
  const args = [`--net=/run/netns/${region.namespace}`, nodeBinary, `${clone}/test/lab/region.ts`];
  const child = spawn('nsenter', args, { cwd: clone, detached: true, stdio: ['pipe', log, log] });
  await until(async () => (child.exitCode === null ? regionPid() : Promise.reject(died(child))), {
    timeoutMs: 15_000,
    intervalMs: 50,
    what: "the lab's region to serve (see out/logs/region.log)",
  });
  child.unref();
  return {
    keep: () => {
      child.stdin?.write('keep\n');
      child.stdin?.end();
    },
  };
}

/** Ends the running region of this clone and waits until its machines are gone. */
export async function stopRegion(): Promise<void> {
  const pid = regionPid();
  if (pid === undefined) return;
  process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + 30_000;
  while (isRegion(pid) && performance.now() < deadline) await sleep(50);
  if (isRegion(pid)) process.kill(pid, 'SIGKILL');
}

/** The clone whose region runs on this machine, if any: there is one lab per machine. */
export function regionOwner(): string | undefined {
  const pid = readdirSync('/proc')
    .map(Number)
    .find((each) => Number.isInteger(each) && isRegion(each));
  return pid === undefined ? undefined : readlinkSync(`/proc/${pid}/cwd`);
}

function isRegion(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[1]?.endsWith('/test/lab/region.ts') ?? false;
  } catch {
    return false;
  }
}

function died(child: ChildProcess): FiredrillError {
  return new FiredrillError({
    code: 'remote',
    what: `the lab's region ended with ${child.exitCode}`,
    fix: 'Read out/logs/region.log',
  });
}
