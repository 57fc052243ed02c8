// node client.ts URL: requests through the load balancer until standard input ends; then reads everything back and prints, as one line
// of JSON, what became of it. Run it in the lab's network namespace.
import { checkHistory } from '../../actions/core/history/check.ts';
import { acknowledged, latencyMs, operationOf, type Request } from '../../actions/drill/probe/history.ts';
import { startProbe } from '../../actions/drill/probe/probe.ts';
import { changedKeys, readThroughBalancer } from '../../actions/drill/read-back.ts';

/** What the clients saw of a fault, and whether the fleet kept what it had acknowledged. */
export interface TrafficReport {
  readonly requests: number;
  readonly acknowledged: number;
  /** Every request without a good answer: when (s from the beginning), what and why. */
  readonly failed: readonly string[];
  /** The longest time that one client waited for one answer. */
  readonly longestMs: number;
  /** Acknowledged writes that are gone, or anything else that no correct store answers; stale reads are no part of the promise. */
  readonly wrong: readonly string[];
}

const requestsPerS = 50;
const requestTimeoutMs = 8000;

const [url = ''] = process.argv.slice(2);
const probe = await startProbe({ url, run: `${process.pid}-${Date.now()}`, requestsPerS, requestTimeoutMs });
await new Promise((resolve) => process.stdin.once('end', resolve).resume());
await probe.stop();
const reads = await readThroughBalancer(url, changedKeys(probe.history));
const { violations } = checkHistory([...probe.history.map(operationOf), ...reads]);
const begun = probe.history[0]?.intendedAt ?? 0;
const line = (each: Request) =>
  `after ${((each.intendedAt - begun) / 1000).toFixed(1)} s ${each.op}: ${each.error ?? each.status}`;
const report: TrafficReport = {
  requests: probe.history.length,
  acknowledged: probe.history.filter(acknowledged).length,
  failed: probe.history.filter((each) => each.outcome !== 'ok').map(line),
  longestMs: Math.round(probe.history.reduce((longest, each) => Math.max(longest, latencyMs(each)), 0)),
  wrong: violations.filter((each) => each.kind !== 'stale').map((each) => `${each.kind} ${each.key}: ${each.what}`),
};
console.log(JSON.stringify(report));
