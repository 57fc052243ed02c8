import { sleep } from '../core/deadline.ts';
import { messageOf } from '../core/errors.ts';
import type { Ssh } from '../core/ssh.ts';
import { type NodeCommand, NodeFailure, type Phase, runOnNode } from './remote.ts';
import type { Part, State } from './state.ts';

/** One command that takes no time, its connection made. */
const shortMs = 20_000;
const confirmTries = 3;

/** Over a connection of its own, `line` or another one: a release that lets nobody in any more is not confirmed, whatever the old connection says. */
export async function confirm(state: State, part: Part, line: Promise<Ssh> | undefined): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      const ssh = tries === 1 ? line : undefined;
      await overNewConnection(state, part, { words: ['confirm', part.nonce], timeoutMs: shortMs }, ssh);
      return;
    } catch (error) {
      if (error instanceof NodeFailure || tries >= confirmTries) throw error;
      await sleep(500);
    }
  }
}

/**
 * Back to what the node had before this run, and why, for the error. A node that is just starting again, or busy, is waited for.
 * Never throws: the node's own dead-man is the last word.
 */
export async function goneBack(state: State, part: Part, why: string): Promise<string[]> {
  const giveUpAt = performance.now() + state.engine.environment.ssh.connectTimeoutMs * 2;
  for (;;) {
    try {
      return (await revert(state, part, why)).filter((each) => each.phase === 'journal').map((each) => each.detail);
    } catch (failure) {
      // Our own command, whose connection broke, may still be at work there.
      const final = failure instanceof NodeFailure && !failure.phases.some((each) => each.phase === 'lease');
      if (final || state.engine.signal.aborted || performance.now() > giveUpAt)
        return [notGoneBack(state, part, failure)];
      await sleep(500);
    }
  }
}

function notGoneBack(state: State, { node, plan }: Part, failure: unknown): string {
  const withinS = Math.ceil(confirmWithinMs(state) / 1000);
  return `${node.name} could not be told to go back: ${messageOf(failure)}. It does so by itself within ${withinS} s, if release ${plan.release.digest.slice(0, 12)} stands there`;
}

/** Undoes this run on a node, by the script that its dead-man uses. `why` marks the release bad; `-` does not. */
export async function revert(state: State, part: Part, why: string): Promise<Phase[]> {
  const { run, reporter } = state.engine;
  const words = ['revert', String(run.generation), String(run.leaseMs), run.who, why];
  const phases = await overNewConnection(state, part, {
    words,
    timeoutMs: state.engine.environment.ssh.commandTimeoutMs,
  });
  const told = phases.find((each) => each.phase === 'revert');
  reporter.log.warning(`${part.node.name}: ${told?.detail.split('\n')[0] ?? 'not reverted'}`);
  return phases;
}

async function overNewConnection(
  state: State,
  part: Part,
  command: NodeCommand,
  line: Promise<Ssh> = part.member.again(),
): Promise<Phase[]> {
  const ssh = await line;
  try {
    return await runOnNode({ ...part.member, ssh }, state.engine.run, command, state.engine.reporter);
  } finally {
    ssh.close();
  }
}

/** How long a node keeps what nobody has confirmed: as long as the gate may take, and some connections. */
export function confirmWithinMs(state: State): number {
  const { rollout, ssh } = state.engine.environment;
  const gateMs = rollout.gateTimeoutMs + Math.max(rollout.gateHealthyMs, rollout.canaryMs);
  return gateMs + confirmTries * ssh.connectTimeoutMs + 10_000;
}
