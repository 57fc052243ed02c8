import type { Machines as LinodeMachines } from './linode-api/index.ts';
import type { Machines, StateChange } from './machines/machines.ts';

export interface RegionMachines {
  readonly forLinodeApi: LinodeMachines;
  /** Pulls all plugs and removes all disks. */
  destroyAll(): Promise<void>;
}

/** How long a guest may take for an orderly end before the plug is pulled, as on Linode in kind, shorter in length. */
const shutdownTimeoutMs = 20_000;

/** The lab's machines as its Linode API wants them. */
export function regionMachines(
  open: (onChange: (change: StateChange) => void) => Machines,
  log: (line: string) => void,
): RegionMachines {
  const listeners: ((name: string, state: 'running' | 'offline') => void)[] = [];
  const machines = open((change) => {
    log(`machine ${change.name}: ${change.state} (${change.reason})`);
    for (const listener of listeners) listener(change.name, change.state);
  });
  const names = (): Set<string> => new Set(machines.list().map((record) => record.name));
  return {
    forLinodeApi: {
      create: async (spec) => {
        if (names().has(spec.name)) await machines.delete(spec.name);
        await machines.create(spec);
      },
      boot: (name) => machines.boot(name),
      shutdown: async (name) => void (await machines.shutdown(name, { timeoutMs: shutdownTimeoutMs })),
      reboot: (name) => machines.reboot(name, { timeoutMs: shutdownTimeoutMs }),
      destroy: (name) => machines.delete(name),
      state: (name) => (names().has(name) ? machines.state(name) : 'missing'),
      onStateChange: (listener) => void listeners.push(listener),
    },
    destroyAll: async () => void (await Promise.allSettled([...names()].map((name) => machines.delete(name)))),
  };
}
