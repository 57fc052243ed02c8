import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { sleep } from '../../../actions/core/deadline.ts';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { cgroupKind, inCgroup, makeCgroups, removeCgroups } from './cgroups.ts';
import { mountDisk } from './disk.ts';
import { start } from './exec.ts';
import { type Lab, machineDir, machineId } from './lab.ts';
import { attachMachine, detachMachine } from './network.ts';
import { bootArgv, bootEnv } from './nspawn.ts';
import { mountOverlay, unmountUnder } from './overlay.ts';
import { killProcesses, labProcesses, leaderBelow, signal } from './processes.ts';
import type { MachineRecord } from './record.ts';

/** A machine that is on. */
export interface Power {
  readonly child: ChildProcess;
  /** The machine's PID 1, seen from outside. */
  readonly leader: number;
}

const startTimeoutMs = 15_000;

/** Switches a machine on: cable, disk, nspawn. Resolves when its PID 1 runs. Throws with the console's last lines when it can't start. */
export async function powerOn(lab: Lab, image: string, record: MachineRecord): Promise<Power> {
  try {
    return await launch(lab, image, record);
  } catch (error) {
    await cleanUp(lab, record.name);
    throw error;
  }
}

async function launch(lab: Lab, image: string, record: MachineRecord): Promise<Power> {
  const id = machineId(lab, record.name);
  const dir = machineDir(lab, record.name);
  await attachMachine(lab, record.name, record.addresses, record.vlan);
  await mountDisk(dir, record.diskMb);
  await mountOverlay({ lower: image, dir });
  const kind = cgroupKind();
  makeCgroups(kind, lab, id);
  const argv = inCgroup(kind, lab, id, bootArgv({ id, hostname: record.hostname, root: `${dir}/root` }));
  const console = openSync(`${dir}/console.log`, 'a', 0o600);
  // In a session of its own: Ctrl-C at the lab's terminal is not a power cut.
  const child = start(argv, {
    detached: true,
    stdio: ['ignore', console, console],
    env: { ...process.env, ...bootEnv },
  });
  closeSync(console);
  child.unref();
  let gone: string | undefined;
  child.once('error', (error) => {
    gone = error.message;
  });
  child.once('exit', (code) => {
    gone = `systemd-nspawn ended with ${code}`;
  });
  const deadline = performance.now() + startTimeoutMs;
  while (gone === undefined && performance.now() < deadline) {
    const leader = child.pid === undefined ? undefined : leaderBelow(child.pid);
    if (leader !== undefined) return { child, leader };
    await sleep(10);
  }
  throw new FiredrillError({
    code: 'remote',
    node: record.name,
    phase: 'boot',
    what: `${gone ?? `the machine did not start in ${startTimeoutMs} ms`}: ${consoleTail(dir)}`,
    fix: `Read ${dir}/console.log`,
  });
}

/** What is left to do when a machine is off, whoever switched it off: no process, mount, namespace or control group of it stays. */
export async function cleanUp(lab: Lab, name: string): Promise<void> {
  const id = machineId(lab, name);
  await endProcesses(lab, id);
  await detachMachine(lab, name);
  await unmountUnder(machineDir(lab, name));
  removeCgroups(lab, id);
  removePropagation(id);
}

/** The folder through which nspawn could pass mounts in; it leaves it behind when it was killed, and where /run is on a disk. */
export function removePropagation(id: string): void {
  rmSync(`/run/systemd/nspawn/propagate/${id}`, { recursive: true, force: true });
}

/** Kills every process of a machine, or of all, and waits (5 s at most) until they are gone; gives how many there were. */
export async function endProcesses(lab: Lab, id?: string): Promise<number> {
  const alive = (): readonly { pid: number }[] =>
    labProcesses(lab).filter((each) => id === undefined || each.id === id);
  const count = killProcesses(lab, id);
  const deadline = performance.now() + 5_000;
  // nspawn ends by itself when its machine is gone; it gets a second for that.
  const patience = performance.now() + 1_000;
  for (let left = alive(); left.length > 0 && performance.now() < deadline; left = alive()) {
    if (performance.now() > patience) for (const { pid } of left) signal(pid, 'SIGKILL');
    await sleep(20);
  }
  return count;
}

function consoleTail(dir: string): string {
  const file = `${dir}/console.log`;
  return existsSync(file) ? readFileSync(file, 'utf8').slice(-600).trim() : 'no console output';
}
