import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { FiredrillError } from '../core/errors.ts';
import { shellQuote } from '../core/ssh.ts';
import type { FleetNode } from './fleet.ts';

/** Where the scripts live on a node; guard.sh knows it too. */
const directory = '/var/lib/firedrill/drill';
/** Beside this file in source, and beside the bundle in dist/, where `npm run bundle` copies it. */
const source = new URL('./node/', import.meta.url);
const scripts = ['disk.sh', 'freeze.sh', 'guard.sh', 'lease.sh', 'net.sh', 'power.sh', 'result.sh', 'unit.sh'] as const;
export type NodeScript = (typeof scripts)[number];

/** Puts the drill's scripts on the node: the node heals itself with them when nobody else does. */
export async function installScripts(node: FleetNode, timeoutMs: number): Promise<void> {
  for (const script of scripts) {
    const path = `${directory}/${script}`;
    // Constants only; the script comes on standard input.
    const stdin = readFileSync(new URL(script, source));
    const sum = createHash('sha256').update(stdin).digest('hex');
    // Nothing is written where it is there: the disk may be full, by a drill that died, and these are what frees it.
    const there = `echo '${sum}  ${path}' | sha256sum --check --status 2> /dev/null`;
    const place = `set -e; umask 077; mkdir -p ${directory}; if ${there}; then exit 0; fi; cat > ${path}.new; chmod 700 ${path}.new; mv ${path}.new ${path}`;
    const result = await node.ssh.exec(`sudo -n sh -c ${shellQuote(place)}`, { stdin, timeoutMs });
    if (result.code !== 0) throw scriptError(node, `install ${script}`, result.stderr);
  }
}

export interface ScriptOptions {
  readonly timeoutMs: number;
  readonly onLine?: (line: string) => void;
}

/** Runs an installed script with the arguments as its words; gives what it printed. Throws a FiredrillError (`remote`) when it fails. */
export async function runScript(
  node: FleetNode,
  script: NodeScript,
  args: readonly string[],
  options: ScriptOptions,
): Promise<string> {
  const command = ['sudo', '-n', `${directory}/${script}`, ...args].map(shellQuote).join(' ');
  const result = await node.ssh.exec(command, options);
  if (result.code !== 0) throw scriptError(node, [script, ...args].join(' '), result.stderr || result.stdout);
  return result.stdout;
}

function scriptError(node: FleetNode, what: string, output: string): FiredrillError {
  return new FiredrillError({
    code: 'remote',
    node: node.name,
    where: what,
    what: output.trim().split('\n').slice(-3).join('; ') || 'failed without a word',
  });
}
