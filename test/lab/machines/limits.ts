import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Lab } from './lab.ts';

/**
 * Limits of the whole host that ten booted systems come near: each systemd watches a dozen things, and all belong to root.
 * Redis would like vm.overcommit_memory=1 and no transparent huge pages; those stay as the host has them, since they change how every
 * other program on it behaves. Redis warns about them and runs.
 */
const wanted = { 'fs/inotify/max_user_instances': 1024 } as const;

function savedFile(lab: Lab): string {
  return `${lab.stateDir}/host-limits.json`;
}

/** Raises what is too low and remembers what it was. */
export function raiseLimits(lab: Lab, proc = '/proc/sys'): void {
  const saved = readSaved(lab);
  for (const [name, minimum] of Object.entries(wanted)) {
    const now = Number(readFileSync(`${proc}/${name}`, 'utf8'));
    if (now >= minimum) continue;
    saved[name] = now;
    mkdirSync(lab.stateDir, { recursive: true });
    // First: killed in between, the sweep sets it to what it is already.
    writeFileSync(savedFile(lab), JSON.stringify(saved));
    writeFileSync(`${proc}/${name}`, String(minimum));
  }
}

/** Puts back what `raiseLimits` changed; gives the names. */
export function restoreLimits(lab: Lab, proc = '/proc/sys'): string[] {
  const saved = readSaved(lab);
  for (const [name, value] of Object.entries(saved)) writeFileSync(`${proc}/${name}`, String(value));
  return Object.keys(saved);
}

function readSaved(lab: Lab): Record<string, number> {
  return existsSync(savedFile(lab)) ? JSON.parse(readFileSync(savedFile(lab), 'utf8')) : {};
}
