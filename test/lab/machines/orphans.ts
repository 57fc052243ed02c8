import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { sleep } from '../../../actions/core/deadline.ts';
import { signal } from './processes.ts';

/** Processes that work in a folder: their root or current folder is in it, or their command names it. This process is never one. */
export function processesIn(folder: string): number[] {
  const inside = (path: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return others().filter((pid) => {
    const links = ['root', 'cwd'].map((name) => attempt(() => readlinkSync(`/proc/${pid}/${name}`)) ?? '');
    const command = attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8')) ?? '';
    return links.some(inside) || command.split('\0').some((word) => word.includes(folder));
  });
}

/** Processes whose network is one of these namespaces. This process and those that it descends from are never among them. */
export function processesInNamespaces(names: readonly string[]): number[] {
  const inodes = new Set(names.flatMap((name) => attempt(() => statSync(`/run/netns/${name}`).ino) ?? []));
  const spared = ancestors();
  return others().filter((pid) => {
    if (spared.has(pid)) return false;
    const network = attempt(() => readlinkSync(`/proc/${pid}/ns/net`)) ?? '';
    return inodes.has(Number(/\[(\d+)\]/.exec(network)?.[1]));
  });
}

/** Ends what `find` finds: SIGTERM, and SIGKILL after `patienceMs`. Gives how many there were. */
export async function endAll(find: () => readonly number[], patienceMs: number): Promise<number> {
  const first = find();
  for (const pid of first) signal(pid, 'SIGTERM');
  const deadline = performance.now() + patienceMs + 5_000;
  const patience = performance.now() + patienceMs;
  for (let left = first; left.length > 0 && performance.now() < deadline; left = find()) {
    if (performance.now() >= patience) for (const pid of left) signal(pid, 'SIGKILL');
    await sleep(20);
  }
  return first.length;
}

function others(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && !isZombie(pid));
}

function ancestors(): Set<number> {
  const found = new Set<number>();
  for (let pid = process.ppid; pid > 1 && !found.has(pid); pid = parentOf(pid)) found.add(pid);
  return found;
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(statusOf(pid))?.[1] ?? 0);
}

function isZombie(pid: number): boolean {
  return /^State:\s+[ZX]/m.test(statusOf(pid));
}

function statusOf(pid: number): string {
  return attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8')) ?? '';
}

/** undefined for a process that went meanwhile. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
