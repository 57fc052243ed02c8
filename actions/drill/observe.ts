import { sleep } from '../core/deadline.ts';
import type { Environment } from '../core/environment/schema.ts';
import { nowMs } from './clock.ts';
import { latencyMs, type Request } from './probe/history.ts';
import { announcements, type Observation } from './timeline.ts';

export interface ObserveOptions {
  readonly drill: Environment['drill'];
  readonly faultAt: number;
  /** Growing while this waits. */
  readonly history: readonly Request[];
  readonly observations: readonly Observation[];
  /** When the fault ends by itself (ms after `faultAt`); 0: it does not. */
  readonly lastsMs: number;
  /** How many failovers are awaited. */
  readonly failovers: number;
  /** Whether clients are to be served again before anything is undone. */
  readonly untilCalm: boolean;
  /** Whether the alert that is awaited fires, or none is. */
  readonly alerted: () => boolean;
  readonly signal: AbortSignal;
}

/** Healing must come from here and not from the node's timer, or the figures are the timer's. */
const beforeTimerMs = 10_000;
/** What the end of a fault does to clients belongs to it. */
const afterEndMs = 2000;
const calmMs = 1000;
/** Slower than this is not calm, whatever the load before was like. */
const slowMs = 500;

/**
 * Waits `drill.observeMs` from the fault, and until a fault that ends by itself has ended; then until the clients are calm again, the
 * failovers were announced and the alert fires. Gives up in time for healing to be ours; the verdict then says what was not reached.
 */
export async function observe(options: ObserveOptions): Promise<void> {
  const { drill, faultAt, lastsMs, observations, failovers, untilCalm, alerted, signal } = options;
  const limitMs = Math.max(drill.observeMs, drill.healAfterMs - drill.warmupMs - beforeTimerMs);
  const leastMs = Math.max(drill.observeMs, lastsMs > 0 ? lastsMs + afterEndMs : 0);
  for (;;) {
    const elapsedMs = nowMs() - faultAt;
    const announced = announcements(observations.filter((each) => each.at >= faultAt)).length >= failovers;
    if (elapsedMs >= limitMs) return;
    if (elapsedMs >= leastMs && announced && alerted() && (!untilCalm || isCalm(options))) return;
    await sleep(100, signal);
  }
}

/** All who came during the last second were answered, quickly. */
function isCalm({ history, drill }: ObserveOptions): boolean {
  const since = nowMs() - calmMs;
  const answered: Request[] = [];
  for (let index = history.length - 1; index >= 0; index -= 1) {
    const request = history[index];
    if (request === undefined || request.endedAt < since) break;
    if (request.outcome !== 'ok' || latencyMs(request) > slowMs) return false;
    answered.push(request);
  }
  // What the worker has not handed over yet is missing; who still waits is missing, too, and for longer.
  return answered.length > (drill.requestsPerS * calmMs * 0.8) / 1000;
}
