import { Worker } from 'node:worker_threads';
import { withDeadline } from '../../core/deadline.ts';
import { FiredrillError } from '../../core/errors.ts';
import type { Request } from './history.ts';
import type { LoadOptions } from './load.ts';
import type { ProbeWorkerData } from './worker.ts';

/** The clients' view: load through the load balancer, in a thread of its own so that nothing else delays it. */
export interface Probe {
  /** What has ended so far, in the order of ending; grows. */
  readonly history: readonly Request[];
  /** Ends the arrivals and waits for the last request. The history is then complete. Throws when the probe itself broke. */
  stop(): Promise<void>;
}

const startTimeoutMs = 10_000;

/** Resolves when the first request is under way. Throws a FiredrillError when the thread does not start. */
export async function startProbe(options: LoadOptions): Promise<Probe> {
  const workerData: ProbeWorkerData = { firedrillProbe: options };
  const worker = new Worker(entryPoint(), { workerData });
  const history: Request[] = [];
  const started = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<void>();
  const broken = (cause: unknown): void => {
    started.reject(brokenProbe(cause));
    finished.reject(brokenProbe(cause));
  };
  worker.on('message', (message: Request[] | 'started' | 'done') => {
    if (message === 'started') started.resolve();
    else if (message === 'done') finished.resolve();
    else history.push(...message);
  });
  worker.on('error', broken);
  worker.on('exit', () => broken(undefined));
  finished.promise.catch(() => {}); // told by stop()
  await withDeadline(started.promise, startTimeoutMs, 'the start of the probe', () => worker.terminate());
  return {
    history,
    async stop() {
      worker.postMessage('stop');
      try {
        await withDeadline(finished.promise, options.requestTimeoutMs + 10_000, 'the last answers of the probe');
      } finally {
        await worker.terminate();
      }
    },
  };
}

/** From source the worker's own file; in the bundle the bundle itself, whose index.ts asks `isProbeWorker`. */
function entryPoint(): URL {
  const source = import.meta.url.endsWith('.ts');
  return source ? new URL('./worker.ts', import.meta.url) : new URL(import.meta.url);
}

function brokenProbe(cause: unknown): FiredrillError {
  return new FiredrillError({
    code: 'bug',
    phase: 'probe',
    what: 'the probe ended by itself, so nothing was measured',
    ...(cause === undefined ? {} : { cause }),
  });
}
