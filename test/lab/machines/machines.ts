import { once } from 'node:events';
import { appendFileSync, mkdirSync } from 'node:fs';
import { FiredrillError, messageOf } from '../../../actions/core/errors.ts';
import { type Lab, machineDir, machineId, machinesDir } from './lab.ts';
import { attachSilence, cutCables } from './network.ts';
import { powerOffSignal, rebootRequested } from './nspawn.ts';
import { removeFolder } from './overlay.ts';
import { leaderOf, signal } from './processes.ts';
import { listRecords, type MachineRecord, type MachineSpec, readRecord, writeRecord } from './record.ts';
import { cleanUp, type Power, powerOn } from './supervisor.ts';

export type MachineState = 'running' | 'offline';

export interface StateChange {
  readonly name: string;
  readonly state: MachineState;
  /** `boot`: switched on from outside. `reboot`: the guest rebooted itself. `poweroff`: an orderly end. `killed`: any other end. */
  readonly reason: 'boot' | 'reboot' | 'poweroff' | 'killed';
}

/** The machines of a lab, as a hypervisor has them. One process at a time holds them. */
export interface Machines {
  /** A new machine with a fresh disk, off. Throws when the name is taken. */
  create(spec: MachineSpec): Promise<MachineRecord>;
  /** Switches it on; resolves when its PID 1 runs, long before it has booted. Nothing when it is on. */
  boot(name: string): Promise<void>;
  /** Asks the guest to power off, and pulls the plug after `timeoutMs`. Resolves when it is off; says whether it went in order. */
  shutdown(name: string, options: { readonly timeoutMs: number }): Promise<{ graceful: boolean }>;
  /** `shutdown`, then `boot`. */
  reboot(name: string, options: { readonly timeoutMs: number }): Promise<void>;
  /** Pulls the plug: its connections end without a word. Resolves when it is off; what is sent to it vanishes until it is on again. */
  kill(name: string): Promise<void>;
  /** Pulls the plug and forgets the disk. Nothing when there is no such machine. */
  delete(name: string): Promise<void>;
  state(name: string): MachineState;
  /** PID 1 of a machine that is on, seen from outside. */
  leader(name: string): number | undefined;
  list(): MachineRecord[];
}

interface Running extends Power {
  /** Resolves when the machine is off and cleaned up after. */
  readonly off: Promise<void>;
}

const resendMs = 500;

/**
 * Opens the machines of `lab` over the image whose root is `image`. `onStateChange` is called after each change, a guest's own
 * power-off and reboot included; a guest's reboot is answered by starting it again, with its network as after a power-on.
 */
export function openMachines(
  lab: Lab,
  image: string,
  onStateChange: (change: StateChange) => void = () => {},
): Machines {
  const running = new Map<string, Running>();
  const stopping = new Set<string>();
  const deleted = new Set<string>();
  const queues = new Map<string, Promise<unknown>>();

  /** One thing at a time per machine. */
  function inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const turn = (queues.get(name) ?? Promise.resolve()).then(work, work);
    queues.set(name, turn);
    return turn;
  }

  async function turnOn(name: string, reason: 'boot' | 'reboot'): Promise<void> {
    if (running.has(name)) return;
    const record = readRecord(lab, name);
    if (leaderOf(lab, machineId(lab, name)) !== undefined)
      throw new FiredrillError({
        code: 'lease',
        node: name,
        what: 'another process holds this machine',
        fix: 'Run: npm run lab -- down',
      });
    const power = await powerOn(lab, image, record);
    stopping.delete(name);
    const ended: Promise<number | null> =
      power.child.exitCode === null
        ? once(power.child, 'exit').then(([code]) => code)
        : Promise.resolve(power.child.exitCode);
    const off = ended.then((code) => inTurn(name, () => settle(name, code)));
    running.set(name, { ...power, off });
    onStateChange({ name, state: 'running', reason });
  }

  async function settle(name: string, code: number | null): Promise<void> {
    running.delete(name);
    let reason: StateChange['reason'] = code === 0 ? 'poweroff' : 'killed';
    try {
      await cleanUp(lab, name);
      if (code === rebootRequested && !stopping.has(name)) return await turnOn(name, 'reboot');
      if (!deleted.has(name)) await silence(name);
    } catch (error) {
      // Nobody waits for a guest's own doings: it is off, and its console says why.
      appendFileSync(`${machineDir(lab, name)}/console.log`, `\n${messageOf(error)}\n`);
      reason = 'killed';
    }
    onStateChange({ name, state: 'offline', reason });
  }

  async function silence(name: string): Promise<void> {
    const { addresses, vlan } = readRecord(lab, name);
    await attachSilence(lab, name, addresses, vlan);
  }

  /** Sends a signal to PID 1 and waits until the machine is off. */
  async function turnOff(name: string, how: number | 'SIGKILL', timeoutMs: number): Promise<boolean> {
    const power = running.get(name);
    if (power === undefined) return true;
    stopping.add(name);
    signal(power.leader, how);
    // A systemd that has only just started does not hear it yet: say it again.
    const again = setInterval(() => signal(power.leader, how), resendMs);
    let timer: NodeJS.Timeout | undefined;
    const overrun = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    try {
      return await Promise.race([power.off.then(() => true), overrun]);
    } finally {
      clearInterval(again);
      clearTimeout(timer);
    }
  }

  async function kill(name: string): Promise<void> {
    // Behind a boot that is under way.
    await inTurn(name, async () => {});
    const power = running.get(name);
    if (power !== undefined) await cutCables(lab, name);
    if (await turnOff(name, 'SIGKILL', 3_000)) return;
    // nspawn did not notice; without it the machine counts as off.
    power?.child.kill('SIGKILL');
    await power?.off;
  }

  async function shutdown(name: string, options: { readonly timeoutMs: number }): Promise<{ graceful: boolean }> {
    await inTurn(name, async () => {});
    if (await turnOff(name, powerOffSignal, options.timeoutMs)) return { graceful: true };
    await kill(name);
    return { graceful: false };
  }

  const boot = (name: string): Promise<void> => inTurn(name, () => turnOn(name, 'boot'));

  return {
    boot,
    shutdown,
    kill,
    create: async (spec) => {
      mkdirSync(machinesDir(lab), { recursive: true, mode: 0o700 });
      return writeRecord(lab, spec);
    },
    reboot: async (name, options) => {
      await shutdown(name, options);
      await boot(name);
    },
    delete: async (name) => {
      deleted.add(name);
      await kill(name);
      await inTurn(name, async () => {
        await cleanUp(lab, name);
        await removeFolder(machineDir(lab, name));
      });
      queues.delete(name);
      deleted.delete(name);
    },
    state: (name) => (running.has(name) || leaderOf(lab, machineId(lab, name)) !== undefined ? 'running' : 'offline'),
    leader: (name) => running.get(name)?.leader ?? leaderOf(lab, machineId(lab, name)),
    list: () => listRecords(lab),
  };
}
