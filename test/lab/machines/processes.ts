import { readdirSync, readFileSync } from 'node:fs';
import type { Lab } from './lab.ts';

export interface LabProcess {
  readonly pid: number;
  readonly parent: number;
  /** The machine's id (`firedrill-lab-redis-1`). */
  readonly id: string;
  /** In the machine (true), or its supervisor outside, systemd-nspawn (false). */
  readonly inside: boolean;
}

/**
 * The processes of the lab's machines, by their control groups: that holds whatever became of the process that started them, and a
 * process can't leave its machine's group. `proc` is for tests.
 */
export function labProcesses(lab: Lab, proc = '/proc'): LabProcess[] {
  const found: LabProcess[] = [];
  for (const entry of readdirSync(proc)) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    try {
      const group = machineOfCgroup(lab, readFileSync(`${proc}/${entry}/cgroup`, 'utf8'));
      if (group === undefined) continue;
      const status = readFileSync(`${proc}/${entry}/status`, 'utf8');
      // A zombie is gone already; its parent has not looked yet.
      if (/^State:\s+[ZX]/m.test(status)) continue;
      found.push({ pid, parent: Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0), ...group });
    } catch {
      // Gone between the listing and the reading.
    }
  }
  return found;
}

/** Which machine the text of /proc/PID/cgroup belongs to: `/LAB/LAB-NAME/payload/...`, or `.../LAB-NAME.scope/payload/...` under systemd. */
export function machineOfCgroup(lab: Lab, text: string): { id: string; inside: boolean } | undefined {
  for (const line of text.split('\n')) {
    const path = line.split(':').slice(2).join(':').split('/');
    const at = path.findIndex((part, index) => isGroupOf(lab, part, path[index - 1]));
    if (at === -1) continue;
    return { id: path[at]?.replace(/\.scope$/, '') ?? '', inside: path[at + 1] === 'payload' };
  }
  return undefined;
}

function isGroupOf(lab: Lab, part: string, before: string | undefined): boolean {
  if (!part.startsWith(`${lab.name}-`)) return false;
  return part.endsWith('.scope') || before === lab.name;
}

/** A machine's PID 1, seen from outside; undefined while nspawn is still setting up, and when the machine is off. */
export function leaderOf(lab: Lab, id: string): number | undefined {
  return labProcesses(lab).find((each) => each.id === id && each.inside && isInit(each.pid))?.pid;
}

/** The same for one whose supervisor is known, without a look at every process. */
export function leaderBelow(supervisor: number): number | undefined {
  try {
    const children = readFileSync(`/proc/${supervisor}/task/${supervisor}/children`, 'utf8').trim();
    return children.split(' ').map(Number).find(isInit);
  } catch {
    return undefined;
  }
}

/** SIGKILL to all processes of a machine, or of every machine; gives how many there were. PID 1 takes its whole machine with it. */
export function killProcesses(lab: Lab, id?: string): number {
  const found = labProcesses(lab).filter((each) => id === undefined || each.id === id);
  // Supervisors last: a live one tidies up what nspawn made.
  for (const each of found.filter((one) => one.inside)) signal(each.pid, 'SIGKILL');
  return found.length;
}

/** Sends a signal; a process that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals | number): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function isInit(pid: number): boolean {
  try {
    // One number per nested PID namespace, outermost first: two, the last of them 1, for a machine's init.
    return /^NSpid:(\s+\d+)+\s+1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
