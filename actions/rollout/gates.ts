import { sleep } from '../core/deadline.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { conditions, type Picture, type Trouble, troubleText } from '../core/health.ts';

export interface GateRule {
  /** Looks in a row that show no trouble. */
  readonly successes: number;
  /** From the first of these to the last, at least. */
  readonly healthyMs: number;
  /** The row has to begin by then. */
  readonly healthDeadlineMs: number;
  /** The longest time in which nothing gets better. */
  readonly progressDeadlineMs: number;
}

interface GateOptions {
  readonly rule: GateRule;
  readonly intervalMs: number;
  readonly phase: string;
  /** For the error: the node at whose gate we stand. */
  readonly node: string;
  /** A new picture of the fleet. */
  readonly look: () => Promise<Picture>;
  /** Undefined when all is well; otherwise whose trouble it is. */
  readonly trouble: (picture: Picture) => NodeTrouble | undefined;
  readonly signal: AbortSignal;
}

export interface NodeTrouble extends Trouble {
  readonly node: string;
}

/** How far a gate is. */
export interface GateState {
  readonly good: number;
  readonly goodSinceMs: number;
  /** How often it was well and lost it again. */
  readonly flaps: number;
  /** The best that was seen before it was well, and when. */
  readonly best: readonly [rank: number, done: number];
  readonly betterAtMs: number;
}

export const gateBegins: GateState = { good: 0, goodSinceMs: 0, flaps: 0, best: [-1, 0], betterAtMs: 0 };

/** One look at `atMs` (from the gate's beginning): the new state and what it means. Pure. */
export function judge(
  state: GateState,
  atMs: number,
  trouble: Trouble | undefined,
  rule: GateRule,
): { state: GateState; verdict: 'passed' | 'wait' | 'late' | 'stuck' } {
  if (trouble === undefined) {
    const goodSinceMs = state.good === 0 ? atMs : state.goodSinceMs;
    const good = state.good + 1;
    const passed = good >= rule.successes && atMs - goodSinceMs >= rule.healthyMs;
    return { state: { ...state, good, goodSinceMs }, verdict: passed ? 'passed' : 'wait' };
  }
  // Whoever was well and lost it has nothing left to make progress to: it has to be well again in time.
  const flapped = state.good > 0;
  const now = [conditions.indexOf(trouble.condition), trouble.done ?? 0] as const;
  const better = now[0] > state.best[0] || (now[0] === state.best[0] && now[1] > state.best[1]);
  const next: GateState = {
    good: 0,
    goodSinceMs: 0,
    flaps: state.flaps + (flapped ? 1 : 0),
    best: flapped ? [conditions.length, 0] : better ? now : state.best,
    betterAtMs: flapped || better ? atMs : state.betterAtMs,
  };
  if (atMs >= rule.healthDeadlineMs) return { state: next, verdict: 'late' };
  return { state: next, verdict: atMs - next.betterAtMs >= rule.progressDeadlineMs ? 'stuck' : 'wait' };
}

export interface GatePassed {
  readonly looks: number;
  /** From the end of the first look on: the window of the rule, and what had to become well. */
  readonly waitedMs: number;
}

/**
 * Looks until the rule is met. Throws a FiredrillError: `gate` with the last trouble when a deadline has
 * passed (`remote` when that was to be unreachable), `cancelled` on the signal.
 */
export async function gate(options: GateOptions): Promise<GatePassed> {
  const begun = performance.now();
  let firstEnded = 0;
  let state = gateBegins;
  for (let looks = 1; ; looks += 1) {
    const trouble = await troubleNow(options);
    const { state: next, verdict } = judge(state, performance.now() - begun, trouble, options.rule);
    state = next;
    firstEnded ||= performance.now();
    if (verdict === 'passed') return { looks, waitedMs: Math.round(performance.now() - firstEnded) };
    if (verdict !== 'wait') throw failed(options, trouble, state, verdict);
    if (options.signal.aborted)
      throw new FiredrillError({ code: 'cancelled', node: options.node, phase: options.phase, what: 'cancelled' });
    await sleep(options.intervalMs);
  }
}

async function troubleNow(options: GateOptions): Promise<NodeTrouble | undefined> {
  try {
    return options.trouble(await options.look());
  } catch (error) {
    return { node: options.node, condition: 'unreachable', what: messageOf(error) };
  }
}

function failed(
  { rule, node, phase }: GateOptions,
  trouble: NodeTrouble | undefined,
  state: GateState,
  verdict: 'late' | 'stuck',
): FiredrillError {
  const last = trouble === undefined ? 'not often enough in a row' : troubleText(trouble);
  const flapped = state.flaps === 0 ? '' : `; it was well and lost it again ${state.flaps} times`;
  return new FiredrillError({
    // A node that nobody reaches says nothing of its release.
    code: trouble?.condition === 'unreachable' ? 'remote' : 'gate',
    node: trouble?.node ?? node,
    phase,
    what:
      verdict === 'late'
        ? `not reached in ${rule.healthDeadlineMs} ms: ${last}${flapped}`
        : `no progress for ${rule.progressDeadlineMs} ms: ${last}${flapped}`,
  });
}
