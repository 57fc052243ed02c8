import { latencyMs, type Request } from '../probe/history.ts';
import { aloneOf } from './alone.ts';
import { probeLatenessIn } from './lateness.ts';

/**
 * From which wait on (ms) a request is slow: three times the worst of the undisturbed time before the fault, and not below 100 ms, so that
 * a busy machine's hiccup isn't taken for a stall. One lost packet makes the worst 200 ms and more, so the threshold is at most 150 ms
 * above what 95 % waited: of those who come during a stall of 300 ms half are slow then, on any way to the fleet. Pure.
 * @param before the requests that ended before anything was done to the fleet
 */
export function stallThresholdMs(before: readonly Request[]): number {
  const waits = before.map(latencyMs).sort((a, b) => a - b);
  const worst = waits.at(-1) ?? 0;
  const usual = waits[Math.ceil(waits.length * 0.95) - 1] ?? 0;
  return Math.max(100, Math.min(3 * worst, usual + 150));
}

export interface SlowRequests {
  /** They count. */
  readonly stalls: readonly Request[];
  /** They waited alone, and no longer than a lost packet explains. */
  readonly lone: readonly Request[];
  /** All that don't count: the lone ones, and those that are slow only because the probe itself was late. */
  readonly excused: ReadonlySet<Request>;
}

/**
 * The requests that were answered later than the threshold, by whether they count as a stall. Pure.
 * @param exposed those that the fault may have touched
 * @param history all of the run: who of the others waited, too, shows only among all
 * @param thresholdMs from which wait on a request is slow
 * @param budgetMs what the recovery will be held against
 */
export function sortOut(
  exposed: readonly Request[],
  history: readonly Request[],
  thresholdMs: number,
  budgetMs: number,
): SlowRequests {
  const late = exposed.filter((request) => request.outcome === 'ok' && latencyMs(request) > thresholdMs);
  const latenessMs = probeLatenessIn(exposed);
  const slow = late.filter((request) => latencyMs(request) - latenessMs(request) > thresholdMs);
  const alone = aloneOf(slow, history);
  const limitMs = loneLimitMs(thresholdMs, budgetMs);
  const isLone = (request: Request): boolean => alone.has(request) && latencyMs(request) <= limitMs;
  const stalls = slow.filter((request) => !isLone(request));
  const counted = new Set(stalls);
  return { stalls, lone: slow.filter(isLone), excused: new Set(late.filter((request) => !counted.has(request))) };
}

/**
 * How long a SYN waits before it is sent again (RFC 6298). Any other packet is sent again after 200 ms and a round trip on Linux, so one that
 * is lost twice takes no longer, up to a round trip of some 180 ms.
 */
const firstTimeoutMs = 1000;

/**
 * How long a request that is alone may wait. One lost packet explains a second and the round trips, which the threshold covers. A budget
 * between a second and that is the limit itself: no wait of more than a second passes that the budget forbids.
 */
function loneLimitMs(thresholdMs: number, budgetMs: number): number {
  return Math.min(firstTimeoutMs + thresholdMs, Math.max(firstTimeoutMs, budgetMs));
}
