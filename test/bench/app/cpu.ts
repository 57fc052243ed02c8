import { readdirSync, readFileSync } from 'node:fs';
import { cpuTimeNs } from '../../sandbox/inside.ts';

/** Times on processors so far, in nanoseconds. */
export interface CpuReading {
  /** By process id: all processes of the sandbox. */
  readonly ours: ReadonlyMap<number, number>;
  /** All that the machine did, and what its hypervisor took from it. */
  readonly machine: number;
}

/** Reads all processes of this process namespace, and the machine's counters. */
export function readCpu(): CpuReading {
  const ours = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const time = timeOf(Number(name));
    if (time !== undefined) ours.set(Number(name), time);
  }
  return { ours, machine: busyNs(readFileSync('/proc/stat', 'utf8')) };
}

/** Undefined for a process that ends while it is read. */
function timeOf(pid: number): number | undefined {
  try {
    return cpuTimeNs(pid);
  } catch {
    return undefined;
  }
}

// USER_HZ, which the kernel fixes for what it shows.
const tickNs = 1e7;

/** All but idle and waiting for disks, from /proc/stat's first line. Guests' time is in the user's already. */
export function busyNs(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) * tickNs;
}

/** What one process used between two readings. Throws when it was not there all the time. */
export function usedNs(before: CpuReading, after: CpuReading, pid: number): number {
  const from = before.ours.get(pid);
  const to = after.ours.get(pid);
  if (from === undefined || to === undefined) throw new Error(`process ${pid} ended while it was measured`);
  return to - from;
}

/**
 * The share of one processor that neither the sandbox nor `endedNs` (of programs that came and went in between) accounts for: other
 * work on the machine. Not below 0; the kernel's counters are ticks, so a few hundredths are nothing.
 */
export function othersShare(before: CpuReading, after: CpuReading, endedNs: number, wallNs: number): number {
  let own = endedNs;
  for (const [pid, to] of after.ours) own += to - (before.ours.get(pid) ?? 0);
  return Math.max(0, (after.machine - before.machine - own) / wallNs);
}
