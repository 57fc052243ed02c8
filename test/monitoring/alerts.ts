/** Inside a sandbox: what Prometheus says of alerts, and what Alertmanager delivers. */
import { createServer } from 'node:http';
import type { Environment } from '../../actions/core/environment/schema.ts';
import { waitFor } from '../sandbox/inside.ts';
import { hookPort, watchdogPath } from './fleet.ts';

export interface FiringAlert {
  readonly name: string;
  /** '' when it concerns no one node. */
  readonly node: string;
}

interface PrometheusAlert {
  readonly state: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** All that fire now but the one that always does. Throws when Prometheus does not answer. */
export async function firing(environment: Environment): Promise<FiringAlert[]> {
  const { data } = (await ask(environment, 'alerts')) as { data: { alerts: PrometheusAlert[] } };
  return data.alerts
    .filter((alert) => alert.state === 'firing' && alert.labels.alertname !== 'Watchdog')
    .map(({ labels }) => ({ name: labels.alertname ?? '', node: labels.node ?? '' }));
}

/** The answer of Prometheus' API. */
export async function ask(environment: Environment, what: string): Promise<unknown> {
  const host = environment.nodes.find((node) => node.roles.includes('monitor'))?.address;
  const response = await fetch(`http://${host}:${environment.monitor.port}/api/v1/${what}`);
  return await response.json();
}

/** Waits until the alert fires (or with `no` does not) and gives the time since `since`, in ms. */
export async function until(environment: Environment, wanted: FiringAlert, since: number, no = false): Promise<number> {
  const is = async () =>
    (await firing(environment)).some((each) => each.name === wanted.name && each.node === wanted.node) !== no;
  await waitFor(60_000, `${wanted.name} ${wanted.node} ${no ? 'to end' : 'to fire'}`, is, 50);
  return performance.now() - since;
}

interface Message {
  readonly alerts: readonly { readonly status: string; readonly labels: Readonly<Record<string, string>> }[];
}

export interface Received {
  /** `NAME NODE` with the time of its first arrival. */
  readonly arrived: Map<string, number>;
  /** When Alertmanager said that alerts can be told. */
  readonly calls: number[];
  /** From now on alerts are refused, or taken again. */
  refuse(all: boolean): void;
}

/** Receives what Alertmanager sends. */
export async function receiveAlerts(): Promise<Received> {
  const arrived = new Map<string, number>();
  const calls: number[] = [];
  let refusing = false;
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const watchdog = request.url === watchdogPath;
    response.writeHead(refusing && !watchdog ? 400 : 200).end();
    if (watchdog) calls.push(performance.now());
    if (watchdog || refusing) return;
    for (const { status, labels } of (JSON.parse(Buffer.concat(chunks).toString('utf8')) as Message).alerts) {
      const key = `${labels.alertname} ${labels.node ?? ''}`;
      if (status === 'firing' && !arrived.has(key)) arrived.set(key, performance.now());
    }
  });
  await new Promise<void>((resolve) => server.listen(hookPort, '127.0.0.1', resolve));
  const refuse = (all: boolean): void => {
    refusing = all;
  };
  return { arrived, calls, refuse };
}
