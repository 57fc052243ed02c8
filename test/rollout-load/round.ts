import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { sleep } from '../../actions/core/deadline.ts';
import { messageOf } from '../../actions/core/errors.ts';
import { linodeApi } from '../../actions/core/linode/api.ts';
import { plainLog } from '../../actions/core/log.ts';
import { connectSsh } from '../../actions/core/ssh.ts';
import { startProbe } from '../../actions/drill/probe/probe.ts';
import { changedKeys, readBack, removeKeys } from '../../actions/drill/read-back.ts';
import { proveSteady } from '../../actions/drill/steady/steady.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { run } from '../../actions/rollout/run.ts';
import { otherClone } from '../fleet/lab-command.ts';
import { clone, environmentName } from '../lab/paths.ts';
import { binaryPath } from '../lab/pipeline.ts';
import { drillFleet, secrets } from './fleet.ts';
import { measure, type Round } from './measure.ts';

/** Before the rollout and after it (ms). */
const calmMs = 1000;

export interface RoundOptions {
  readonly requestsPerS: number;
  /** Gets what the rollout prints. */
  readonly onLine: (line: string) => void;
}

/** A rollout that restarts every service, under load through the load balancer. Throws when there is nothing to measure. */
export async function runRound({ requestsPerS, onLine }: RoundOptions): Promise<Round> {
  const fleet = await drillFleet();
  try {
    await proveSteady(fleet, 'before the rollout');
    const { requestTimeoutMs } = fleet.environment.drill;
    const load = { url: fleet.publicUrl, run: randomBytes(4).toString('hex'), requestsPerS, requestTimeoutMs };
    const probe = await startProbe(load);
    await sleep(calmMs);
    const { report, error } = await rollOutAnew(onLine);
    await sleep(calmMs);
    await probe.stop();
    const { primary } = await proveSteady(fleet, 'after the rollout');
    const keys = changedKeys(probe.history);
    const final = await readBack(fleet, primary, keys);
    if ('unread' in final) throw new Error(`the writes can't be read back: ${final.unread}`);
    await removeKeys(fleet, primary, keys).catch(() => {}); // they expire
    return { ...measure(probe.history, final.reads, report), error };
  } finally {
    fleet.close();
  }
}

/** Rolls out the work tree with another comment in every unit's file. */
async function rollOutAnew(onLine: (line: string) => void): Promise<{ report: RolloutReport; error: string | null }> {
  const other = otherClone();
  let report: RolloutReport | undefined;
  try {
    for (const file of unitFiles()) other.edit(file, (text) => `${text}# ${new Date().toISOString()}\n`);
    const inputs = { environment: environmentName, mode: 'apply', force: false, binary: binaryPath } as const;
    const error = await run(
      { ...inputs, ...secrets() },
      {
        linode: linodeApi,
        connect: connectSsh,
        log: plainLog(onLine),
        mask: () => {},
        summary: async () => {},
        root: other.folder,
        who: `bench-${process.pid}`,
        signal: new AbortController().signal,
        onReport: (told) => {
          report = told;
        },
      },
    ).then(() => null, messageOf);
    if (report === undefined) throw new Error(`the rollout did not begin: ${error}`);
    return { report, error };
  } finally {
    other.remove();
  }
}

/** Our part of each service's unit. */
function unitFiles(): string[] {
  return readdirSync(`${clone}/configs`, { recursive: true, encoding: 'utf8' })
    .filter((file) => /(unit|service)\.conf$|sessiond\.service$/.test(file))
    .map((file) => `configs/${file}`);
}
