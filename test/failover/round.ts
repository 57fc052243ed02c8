import { cpSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { changed, type Operation } from '../../actions/core/history/operation.ts';
import { workload } from '../../actions/core/history/workload.ts';
import { inRoot, run, waitFor } from '../sandbox/inside.ts';
import { send } from './client.ts';
import { convergedOn, type Deployment, folder, startDeployment, stopDeployment } from './deployment.ts';
import { type Fault, type FaultName, faults, type Scene } from './faults.ts';
import { startLoad } from './load.ts';
import { measure, type Round } from './measure.ts';
import type { Durability } from './settings.ts';
import { startWatch, type Watch } from './watch.ts';

export interface RoundOptions {
  readonly number: number;
  readonly fault: FaultName;
  readonly requestsPerS: number;
  readonly program: string;
  readonly durability: Durability;
  /** A folder of the host for what the programs wrote. */
  readonly logs: string | undefined;
}

const steadyMs = 1000;
const afterMs = 2000;
/** How long what comes back by itself stays away after the failover. */
const awayMs = 1000;
const recoverWithinMs = 20_000;

/** A fresh deployment, one second of load, the fault, load until 2 s after the recovery, heal, converge, read everything back. */
export async function runRound(options: RoundOptions): Promise<Round> {
  const fault: Fault = faults[options.fault];
  const deployment = await startDeployment(options.number, options.program, options.durability);
  const scene: Scene = { deployment, program: options.program, durability: options.durability };
  const watch = startWatch([1, 2]);
  try {
    const work = workload(`r${options.number}`, options.number);
    const load = startLoad(work, options.requestsPerS);
    await sleep(steadyMs);
    const faultAt = performance.now();
    await fault.inject(scene);
    const injectedAt = performance.now();
    await recovered(fault, watch, load.history, faultAt);
    if (fault.comeBack) await sleep(awayMs).then(() => fault.comeBack?.(scene));
    await sleep(afterMs);
    await load.stop();
    const primary = watch.marks.promoted ?? 0;
    await fault.heal?.(scene, primary);
    await waitFor(30_000, 'the deployment to be whole again', async () => (await convergedOn()) === primary, 50);
    const readings = await readBack(load.history);
    await endApps(deployment);
    return measure({
      fault: options.fault,
      history: load.history,
      readBack: readings,
      counters: work.counters,
      faultAt,
      ...(fault.silences ? { silentUntil: injectedAt - 5 } : {}),
      marks: watch.marks,
      lagMs: load.lagMs(),
    });
  } finally {
    watch.stop();
    if (options.logs !== undefined)
      cpSync(inRoot(folder), `${options.logs}/${options.number}-${options.fault}`, { recursive: true });
    await stopDeployment();
  }
}

/** A write that was sent after the fault, or completed after the promotion, was acknowledged. It is no error when none ever is. */
async function recovered(fault: Fault, watch: Watch, history: readonly Operation[], faultAt: number): Promise<void> {
  const deadline = performance.now() + recoverWithinMs;
  while (performance.now() < deadline) {
    const { promotedAt } = watch.marks;
    const last = history.findLast(changed);
    if (last !== undefined && !fault.failover && last.invokedAt > faultAt) return;
    if (last !== undefined && promotedAt !== undefined && last.invokedAt > promotedAt) return;
    await sleep(10);
  }
}

/** Asked to end they must, and find nothing wrong with themselves (a build with sanitizers says so then). */
async function endApps(deployment: Deployment): Promise<void> {
  for (const app of deployment.apps) app.signal('SIGTERM');
  const codes = await Promise.all(deployment.apps.map((app) => app.ended));
  if (codes.some((code) => code !== 0))
    throw new Error(`sessiond ended with ${codes}:\n${await run('sh', ['-c', `tail -n 30 ${folder}/sessiond-*.log`])}`);
}

const readers = 32;

/** Reads every key of the history, some at a time. A read without an answer is tried again for a while. */
async function readBack(history: readonly Operation[]): Promise<Operation[]> {
  const keys = [...new Set(history.map((each) => each.key))];
  const answers: Operation[] = [];
  const deadline = performance.now() + 10_000;
  const reader = async (process: number): Promise<void> => {
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) {
      const answer = await send({ process, op: 'read', key, value: null, requestId: undefined });
      if (answer.outcome === 'ok') answers.push(answer);
      else if (performance.now() < deadline) keys.push(key);
      else throw new Error(`${key} could not be read back: ${answer.status} ${answer.error ?? ''}`);
    }
  };
  await Promise.all(Array.from({ length: readers }, (_, index) => reader(-1 - index)));
  return answers;
}
