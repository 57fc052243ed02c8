import { execFileSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
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

/**
 * A probe that waits for a processor would measure that wait. On Linux both are for this thread alone, and only root may. A nice value
 * counts within a session where the kernel shares processors among sessions (sched(7), autogroup), as it does in the lab: so real time.
 */
function goFirst(): void {
  for (const attempt of [realTime, () => setPriority(-10)])
    try {
      attempt();
      return;
    } catch {
      // The report says how late the probe was.
    }
}

function realTime(): void {
  const thread = readlinkSync('/proc/thread-self').split('/').at(-1) ?? '';
  execFileSync('chrt', ['--rr', '--reset-on-fork', '--pid', '1', thread], { stdio: 'ignore', timeout: 2000 });
}

// From source this file is the thread's own entry point; in the bundle index.ts is.
if (import.meta.url.endsWith('.ts') && isProbeWorker()) runProbeWorker();
