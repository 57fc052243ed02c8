import { Agent, request as httpRequest } from 'node:http';
import { nowMs } from '../clock.ts';
import { outcomeOf, outcomeOfError, type Request } from './history.ts';
import { type Step, workload } from './workload.ts';

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

/**
 * Open-loop load: the arrivals follow the clock, whatever the answers do, so a stall is felt by all who would have come meanwhile.
 * Connections are kept and reused, and there are as many as requests wait: clients do not queue behind each other.
 */
export function startLoad(options: LoadOptions, onEnd: (request: Request) => void): Load {
  // An idle connection is dropped well before the load balancer would: no request may meet a connection that just closed.
  const agent = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 5000 });
  const steps = workload(options.run);
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
      const work = send(agent, options, sent, steps.next(), intendedAt).then((request) => {
        pending.delete(work);
        onEnd(request);
      });
      pending.add(work);
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

function send(agent: Agent, options: LoadOptions, id: number, step: Step, intendedAt: number): Promise<Request> {
  return new Promise((resolve) => {
    const sentAt = nowMs();
    const write = step.op === 'write';
    const body = step.value ?? '';
    const request = httpRequest(`${options.url}/v1/sessions/${step.key}`, {
      agent,
      method: write ? 'PUT' : 'GET',
      headers: write ? { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) } : {},
    });
    const end = (outcome: Request['outcome'], status: number, value: string | null, error?: string): void => {
      clearTimeout(deadline);
      const base = { id, op: step.op, key: step.key, intendedAt, sentAt, endedAt: nowMs(), outcome, status };
      resolve({ ...base, value: write ? step.value : value, ...(error === undefined ? {} : { error }) });
    };
    const deadline = setTimeout(
      () => {
        end(write ? 'unknown' : 'failed', 0, null, 'deadline');
        request.destroy();
      },
      Math.max(1, intendedAt + options.requestTimeoutMs - sentAt),
    );
    const broken = (error: NodeJS.ErrnoException): void => {
      const code = error.code ?? error.message;
      end(outcomeOfError(step.op, code), 0, null, code);
    };
    request.on('error', broken);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', broken);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        end(outcomeOf(step.op, status), status, status === 200 ? Buffer.concat(chunks).toString('utf8') : null);
      });
    });
    request.end(write ? body : undefined);
  });
}
