import type { Fault, LiveState } from './scenario.ts';

/** A call of node/unit.sh. */
export function unitFault(action: 'stop' | 'restart' | 'kill' | 'crash' | 'hang' | 'pause', unit: string): Fault {
  return {
    inject: { script: 'unit.sh', args: [action, unit] },
    undo: { script: 'unit.sh', args: ['heal', unit] },
    ...(action === 'kill' ? { prepare: { script: 'unit.sh', args: ['keep-down', unit] } as const } : {}),
  };
}

/** A call of node/net.sh, towards those nodes. */
export function netFault(state: LiveState, words: readonly string[], peers: readonly string[]): Fault {
  const addresses = peers.map((name) => state.addresses[name] ?? '');
  return {
    inject: { script: 'net.sh', args: [...words, ...addresses] },
    undo: { script: 'net.sh', args: ['heal'] },
    prepare: { script: 'net.sh', args: ['ready'] },
  };
}

export const powerOff: Fault = {
  inject: { script: 'power.sh', args: ['off'] },
  undo: { script: 'power.sh', args: ['heal'] },
  powersOff: true,
};

export const reboot: Fault = {
  inject: { script: 'power.sh', args: ['reboot'] },
  undo: { script: 'power.sh', args: ['heal'] },
  reboots: true,
};

export const diskFull: Fault = {
  inject: { script: 'disk.sh', args: ['fill'] },
  undo: { script: 'disk.sh', args: ['heal'] },
};

/** The Redis nodes that follow. */
export function replicasOf(state: LiveState): string[] {
  return state.nodes.redis.filter((name) => name !== state.primary);
}

/** The names, each once, without those of `except`. */
export function others(names: readonly string[], except: readonly string[]): string[] {
  return [...new Set(names)].filter((name) => !except.includes(name));
}
