import { FiredrillError } from '../core/errors.ts';
import { type Log, progressLine } from '../core/log.ts';
import { shellQuote } from '../core/ssh.ts';
import type { Member } from './fleet.ts';

/** One phase of a node, as it is in the report. */
export interface Phase {
  readonly phase: string;
  readonly ok: boolean;
  readonly ms: number;
  /** Of a gate: how much of it was waiting after its first look. */
  readonly waitedMs?: number;
  readonly detail: string;
  /** The file that a checker refused. */
  readonly path?: string;
}

/** Who changes nodes: the same on all of them. */
export interface Run {
  readonly id: string;
  /** Grows from run to run; a node refuses an older one than it has seen. */
  readonly generation: number;
  readonly leaseMs: number;
  /** For whom finds the lease held: no blanks. */
  readonly who: string;
}

export interface NodeCommand {
  /** Words of apply.sh after RUN: the command and its arguments. */
  readonly words: readonly string[];
  /** Sent first and unpacked on the node; without it the bundle is there already. */
  readonly bundle?: Buffer;
  readonly timeoutMs: number;
}

export interface Reporter {
  readonly log: Log;
  /** Takes secrets out of what a node said. */
  readonly redact: (text: string) => string;
  /** Called with each phase as it ends. */
  readonly onPhase: (node: string, phase: Phase) => void;
}

/**
 * Runs apply.sh on a node. Gives its phases. Throws a NodeFailure (`gate`, `lease` or `remote`) with the evidence when one failed, and
 * another FiredrillError when nobody knows how it ended.
 */
export async function runOnNode(member: Member, run: Run, command: NodeCommand, reporter: Reporter): Promise<Phase[]> {
  const phases: Phase[] = [];
  const result = await member.ssh.exec(commandLine(run, command), {
    ...(command.bundle === undefined ? {} : { stdin: command.bundle }),
    timeoutMs: command.timeoutMs,
    onLine: (line) => {
      const phase = parsePhase(line, reporter.redact);
      if (phase === undefined) return;
      phases.push(phase);
      reporter.onPhase(member.node.name, phase);
      // For the error and the report; as progress it says nothing.
      if (phase.phase === 'journal') return;
      const detail = phase.ok ? phase.detail : `failed: ${phase.detail.split('\n')[0]}`;
      reporter.log.info(progressLine(member.node.name, phase.phase, phase.ms, detail.replaceAll('\n', ' ')));
    },
  });
  if (result.code === 0) return phases;
  // Over 128: a signal ended a part of it, as shells tell.
  if (result.code < 0 || result.code > 128) throw cutShort(member.node.name, phases);
  throw failure(member.node.name, phases, reporter.redact(result.stderr).slice(-500), result.code);
}

/** A node's phases, with the one that a failed command reported, for a caller that wants more of it than the text. */
export class NodeFailure extends FiredrillError {
  readonly phases: readonly Phase[];

  constructor(facts: ConstructorParameters<typeof FiredrillError>[0], phases: readonly Phase[]) {
    super(facts);
    this.phases = phases;
  }
}

/** The command was killed, or its node went down: unlike one that failed by itself it has not taken anything back. */
function cutShort(node: string, phases: readonly Phase[]): FiredrillError {
  const last = phases.at(-1)?.phase;
  return new FiredrillError({
    code: 'remote',
    node,
    phase: 'apply',
    what: `the command ended without an exit code${last === undefined ? '' : `, the last that it told was ${last}`}: it was killed, or the node went down`,
    fix: 'Look at the node, then run again; what was switched and not confirmed goes back by itself',
  });
}

function commandLine(run: Run, command: NodeCommand): string {
  const words = [run.id, ...command.words].map(shellQuote).join(' ');
  const folder = `/var/lib/firedrill/incoming/${run.id}`;
  if (command.bundle === undefined) return `sudo -n sh ${folder}/node/apply.sh ${words}`;
  const unpack = `umask 077; mkdir -p ${folder} && tar -xzf - -C ${folder} && exec sh ${folder}/node/apply.sh "$@"`;
  return `sudo -n sh -c ${shellQuote(unpack)} sh ${words}`;
}

function parsePhase(line: string, redact: (text: string) => string): Phase | undefined {
  if (!line.startsWith('{"phase"')) return undefined;
  const phase = JSON.parse(line) as Phase;
  return { ...phase, detail: redact(phase.detail) };
}

/** What to do when the node is another run's, by the phase that tells it (node/lease.sh). */
const leaseFixes: Readonly<Record<string, string>> = {
  lease: 'Wait for the other run; a dead one frees the node when its lease ends',
  generation: 'Leave the node to the newer run; roll out the newest commit if that one failed',
};

function failure(node: string, phases: readonly Phase[], stderr: string, code: number): NodeFailure {
  const failed = phases.find((phase) => !phase.ok);
  const evidence = phases.filter(
    (phase) => phase !== failed && (phase.phase === 'journal' || phase.phase === 'revert'),
  );
  const fix = leaseFixes[failed?.phase ?? ''];
  const texts = [failed?.detail ?? `apply.sh ended with code ${code}`, stderr, ...evidence.map((each) => each.detail)];
  return new NodeFailure(
    {
      code: fix !== undefined ? 'lease' : failed === undefined ? 'remote' : 'gate',
      node,
      phase: failed?.phase ?? 'apply',
      what: texts.filter((text) => text !== '').join('\n'),
      ...(fix === undefined ? {} : { fix }),
    },
    phases,
  );
}
