import { sleep } from '../core/deadline.ts';
import { messageOf } from '../core/errors.ts';
import { nowMs } from './clock.ts';
import { type Fleet, type FleetNode, fleetNodes } from './fleet.ts';
import { getFrom } from './http.ts';

/** One that fires, by Prometheus. */
interface FiringAlert {
  /** Its labels, and since when its condition has held: one that ends and begins again is another. */
  readonly id: string;
  readonly name: string;
  readonly severity: string;
}

/** An alert that began to fire in a run. */
export interface FiredAlert extends FiringAlert {
  /** When Prometheus said so (ms). */
  readonly at: number;
  /** When it said no more that it fires (ms); null while it does. */
  readonly overAt: number | null;
}

export interface AlertWatch {
  /** The names of all rules that Prometheus has; undefined when there is none, or it does not answer. */
  readonly rules: ReadonlySet<string> | undefined;
  /** Why nobody can tell which alerts fire; undefined when it answers, or there is none. */
  readonly unheard?: string;
  /** Those that did not fire when the watch began, in the order in which they began to. Grows. */
  readonly fired: readonly FiredAlert[];
  stop(): void;
}

const pollMs = 500;
const timeoutMs = 3000;

/** Asks the Prometheus of the fleet which alerts fire, twice a second, until `stop`. Never throws: without an answer nothing is said. */
export async function watchAlerts(fleet: Fleet): Promise<AlertWatch> {
  const [monitor] = fleetNodes(fleet, 'monitor');
  const fired: FiredAlert[] = [];
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  if (monitor === undefined) return { rules: undefined, fired, stop };
  const { port } = fleet.environment.monitor;
  const ask = (path: string) => askPrometheus(monitor, port, path);
  try {
    const rules = ruleNames(await ask('/api/v1/rules?type=alert'));
    const before = new Set(firing(await ask('/api/v1/alerts')).map((alert) => alert.id));
    void poll(async () => {
      const now = firing(await ask('/api/v1/alerts')).filter((alert) => !before.has(alert.id));
      fired.splice(0, fired.length, ...withNow(fired, now, nowMs()));
    }, stopped.signal);
    return { rules, fired, stop };
  } catch (error) {
    return { rules: undefined, unheard: `the Prometheus of ${monitor.name}: ${messageOf(error)}`, fired, stop };
  }
}

async function poll(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await work().catch(() => {}); // the monitor itself may be what is broken
    await sleep(pollMs, signal).catch(() => {});
  }
}

/** What has fired, with what fires now: new ones, those that are over, and those that were not seen once. Pure. */
export function withNow(fired: readonly FiredAlert[], now: readonly FiringAlert[], at: number): FiredAlert[] {
  const begun = now.filter((alert) => fired.every(({ id }) => id !== alert.id));
  const known = fired.map((alert) => {
    if (now.some(({ id }) => id === alert.id)) return { ...alert, overAt: null };
    return { ...alert, overAt: alert.overAt ?? at };
  });
  return [...known, ...begun.map((alert) => ({ ...alert, at, overAt: null }))];
}

interface PrometheusAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly activeAt?: string;
}

/** The alerts that fire, by /api/v1/alerts. One that fires since the last drill has another id than that of this one's node. Pure. */
export function firing(answer: unknown): FiringAlert[] {
  const { alerts = [] } = dataOf(answer) as { alerts?: PrometheusAlert[] };
  return alerts
    .filter((alert) => alert.state === 'firing')
    .map(({ labels, activeAt = '' }) => ({
      id: JSON.stringify([activeAt, ...Object.entries(labels).sort()]),
      name: labels.alertname ?? '',
      severity: labels.severity ?? '',
    }));
}

/** The names of the alerting rules, by /api/v1/rules. Pure. */
export function ruleNames(answer: unknown): Set<string> {
  const { groups = [] } = dataOf(answer) as { groups?: { rules: { name: string }[] }[] };
  return new Set(groups.flatMap((group) => group.rules.map((rule) => rule.name)));
}

function dataOf(answer: unknown): object {
  return (answer as { data?: object } | undefined)?.data ?? {};
}

async function askPrometheus(node: FleetNode, port: number, path: string): Promise<unknown> {
  return JSON.parse((await getFrom(node, port, path, timeoutMs)).text);
}
