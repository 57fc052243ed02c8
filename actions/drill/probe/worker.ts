import { setPriority } from 'node:os';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { Request } from './history.ts';
import { type LoadOptions, startLoad } from './load.ts';

/** What a worker thread of this bundle is told, so that it knows itself for the probe. */
export interface ProbeWorkerData {
  readonly firedrillProbe: LoadOptions;
}

/** True in the thread that `startProbe` starts; the entry point then runs the probe and nothing else. */
export function isProbeWorker(): boolean {
  return !isMainThread && (workerData as Partial<ProbeWorkerData> | null)?.firedrillProbe !== undefined;
}

/** Says `started`, runs the load until the message `stop`, hands over what ended every 50 ms, then says `done`. */
export function runProbeWorker(): void {
  const port = parentPort;
  if (port === null) return;
  goFirst();
  let batch: Request[] = [];
  const load = startLoad((workerData as ProbeWorkerData).firedrillProbe, (request) => batch.push(request));
  port.postMessage('started');
  const flush = (): void => {
    if (batch.length === 0) return;
    port.postMessage(batch);
    batch = [];
  };
  const timer = setInterval(flush, 50);
  port.on('message', async () => {
    await load.stop();
    clearInterval(timer);
    flush();
    port.postMessage('done');
    port.close();
  });
}

/** On Linux this is this thread's priority alone. A probe that waits for a processor would measure that wait. */
function goFirst(): void {
  try {
    setPriority(-10);
  } catch {
    // Only root may; the report says how late the probe was.
  }
}

// From source this file is the thread's own entry point; in the bundle index.ts is.
if (import.meta.url.endsWith('.ts') && isProbeWorker()) runProbeWorker();
