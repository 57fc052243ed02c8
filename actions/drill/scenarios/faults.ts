import type { Fault, LiveState } from './scenario.ts';

/** A call of node/unit.sh. */
export function unitFault(action: 'stop' | 'restart' | 'kill' | 'crash' | 'hang', unit: string): Fault {
  return {
    inject: { script: 'unit.sh', args: [action, unit] },
    undo: { script: 'unit.sh', args: ['heal', unit] },
    ...(action === 'kill' ? { prepare: { script: 'unit.sh', args: ['keep-down', unit] } as const } : {}),
  };
}

/** The unit stands still for so long; its machine goes on. */
export function pauseFault(unit: string, forMs: number): Fault {
  return {
    inject: { script: 'unit.sh', args: ['pause', unit, String(forMs)] },
    undo: { script: 'unit.sh', args: ['heal', unit] },
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

/** Longer than anybody waits for an answer before he turns to somebody else, and too short for whoever gives machines up. */
const goneMs = 8000;

/** All packets are lost, in and out: of every link, or of `link`, an interface or an address that it leads to. */
export function silentFault(link?: string): Fault {
  return {
    inject: { script: 'net.sh', args: ['silent', String(goneMs), ...(link === undefined ? [] : [link])] },
    undo: { script: 'net.sh', args: ['heal'] },
    lastsMs: goneMs,
  };
}

/** Silent and back, five times, each time for less than Sentinel needs to suspect somebody. */
export function blinkingFault(): Fault {
  const [downMs, upMs, times] = [800, 800, 5];
  return {
    inject: { script: 'net.sh', args: ['blink', ...[downMs, upMs, times].map(String)] },
    undo: { script: 'net.sh', args: ['heal'] },
    lastsMs: (downMs + upMs) * times,
  };
}

/** No process of the machine runs, and its kernel still confirms what it is sent. */
export function frozenFault(lastsMs = goneMs): Fault {
  return {
    inject: { script: 'freeze.sh', args: ['freeze', String(lastsMs)] },
    undo: { script: 'freeze.sh', args: ['heal'] },
    lastsMs,
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
