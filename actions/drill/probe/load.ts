import { Agent, get } from 'node:http';
import { workload } from '../../core/history/workload.ts';
import { nowMs } from '../clock.ts';
import { operationOf, type Request } from './history.ts';
import { send } from './send.ts';

export interface LoadOptions {
  /** `http://HOST:PORT`, the load balancer. */
  readonly url: string;
  readonly run: string;
  readonly requestsPerS: number;
  /** Each request's own deadline, from its intended time (ms). */
  readonly requestTimeoutMs: number;
}

export interface Load {
  /** Ends the arrivals and resolves when every request has ended; that is within the deadline of the last one. */
  stop(): Promise<void>;
}

/** Open from the beginning, and used in turn, so that a connection that dies is noticed. */
const connections = 32;

/**
 * Open-loop load: the arrivals follow the clock, whatever the answers do, so a stall is felt by all who would have come meanwhile.
 * Connections are kept and reused, and there are as many as requests wait: clients do not queue behind each other.
 */
export function startLoad(options: LoadOptions, onEnd: (request: Request) => void): Load {
  // An idle connection is dropped well before the load balancer would: no request may meet a connection that just closed.
  const agent = new Agent({ keepAlive: true, scheduling: 'fifo', timeout: 5000, maxFreeSockets: 1024 });
  const work = workload(`drill-${options.run}`);
  openConnections(agent, options.url);
  const startedAt = nowMs();
  const intervalMs = 1000 / options.requestsPerS;
  const pending = new Set<Promise<void>>();
  let sent = 0;
  let timer: NodeJS.Timeout | undefined;

  const tick = (): void => {
    const due = Math.floor((nowMs() - startedAt) / intervalMs) + 1;
    while (sent < due) {
      const intendedAt = startedAt + sent * intervalMs;
      sent += 1;
      const ending = send({ agent, ...options, id: sent, step: work.next(), intendedAt }).then((request) => {
        pending.delete(ending);
        work.ended(operationOf(request));
        onEnd(request);
      });
      pending.add(ending);
    }
    timer = setTimeout(tick, Math.max(0, startedAt + sent * intervalMs - nowMs()));
  };
  tick();

  return {
    async stop() {
      clearTimeout(timer);
      await Promise.all(pending);
      agent.destroy();
    },
  };
}

function openConnections(agent: Agent, url: string): void {
  for (let count = 0; count < connections; count += 1)
    get(`${url}/healthz`, { agent, timeout: 2000 }, (response) => response.resume()).on('error', () => {});
}
