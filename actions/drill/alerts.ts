import { sleep } from '../core/deadline.ts';
import { nowMs } from './clock.ts';
import { type Fleet, type FleetNode, fleetNodes } from './fleet.ts';
import { getFrom } from './http.ts';

/** An alert that began to fire in a run. */
export interface FiredAlert {
  readonly name: string;
  readonly severity: string;
  /** When Prometheus said so (ms). */
  readonly at: number;
}

export interface AlertWatch {
  /** The names of all rules that Prometheus has; undefined when it does not answer. */
  readonly rules: ReadonlySet<string> | undefined;
  /** Those that did not fire when the watch began; grows. */
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
    const known = new Set(firing(await ask('/api/v1/alerts')).map((alert) => alert.id));
    void poll(async () => {
      for (const alert of firing(await ask('/api/v1/alerts'))) {
        if (known.has(alert.id)) continue;
        known.add(alert.id);
        fired.push({ name: alert.name, severity: alert.severity, at: nowMs() });
      }
    }, stopped.signal);
    return { rules, fired, stop };
  } catch {
    return { rules: undefined, fired, stop };
  }
}

async function poll(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await work().catch(() => {}); // the monitor itself may be what is broken
    await sleep(pollMs, signal).catch(() => {});
  }
}

/** The alerts that fire, by /api/v1/alerts. One that fires since the last drill has another id than that of this one's node. Pure. */
export function firing(answer: unknown): { id: string; name: string; severity: string }[] {
  const { alerts = [] } = dataOf(answer) as { alerts?: { state: string; labels: Record<string, string> }[] };
  return alerts
    .filter((alert) => alert.state === 'firing')
    .map(({ labels }) => ({
      id: JSON.stringify(Object.entries(labels).sort()),
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
