import { afterEach, beforeEach, expect } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { type Ended, otherClone, runInside, type Started, startInside } from '../fleet/lab-command.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { clone, lab, outDir } from '../lab/paths.ts';
import { keepCase } from './record.ts';
import { startTraffic, type Traffic } from './traffic.ts';

const shared = loadEnvironment(`${clone}/environments/lab.yaml`).haproxy.shared?.address ?? '';

/** What every case of the matrix stands on: clients at work, a work tree to change, and the promises that hold after each. */
export let other: ReturnType<typeof otherClone>;
let traffic: Traffic;
let told: string[] = [];
let begun = 0;
/** Whether the test before left the fleet as it should be. */
let whole = false;

/** Each run of each case, and the table of all of them. Moved away, they begin anew. */
const casesPath = `${outDir}/faults`;

const missing = await preflight(lab);
const skipReason =
  missing.length === 0 ? undefined : `the lab needs ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;

/**
 * Before each test of a file the fleet is whole and has clients. After each: the next rollout of the work tree goes through, no request
 * failed, no write is lost, every unit runs, nothing waits for a confirmation, and exactly one Redis is primary.
 */
export function holdPromises(): void {
  beforeEach(async ({ skip }) => {
    if (skipReason !== undefined) skip(skipReason);
    told = [];
    begun = performance.now();
    other = otherClone();
    if (!whole) await repaired([]);
    whole = false;
    traffic = startTraffic(`http://${shared}`);
  });
  afterEach(async ({ task }) => {
    if (skipReason !== undefined) return;
    other.remove();
    const repair = await repaired([]);
    const { requests, acknowledged, failed, longestMs, wrong } = await traffic.end();
    const { output } = await runInside(['status']);
    const broken = [
      ...wrong,
      ...failed,
      ...(acknowledged > 100 ? [] : [`only ${acknowledged} writes were acknowledged: nothing was proved`]),
      ...(output.match(/^.*(inactive|failed|unreachable|unconfirmed|held by).*$/gm) ?? []),
      ...(output.match(/ primary$/gm)?.length === 1 ? [] : ['not one primary']),
      ...(output.match(/replica of redis-\d, lag/g)?.length === 2 ? [] : ['not two replicas']),
    ];
    const error = task.result?.errors?.[0]?.message.split('\n')[0];
    keepCase(casesPath, {
      name: [task.suite?.name, task.name].filter((part) => part).join(' '),
      ok: task.result?.state !== 'fail' && broken.length === 0,
      told: [...told, lastLine(repair.output)],
      broken: [...(error === undefined ? [] : [error]), ...broken.slice(0, 5)],
      requests,
      failed: failed.length,
      lost: wrong.length,
      longestMs,
      seconds: Math.round((performance.now() - begun) / 1000),
    });
    expect(broken, output).toEqual([]);
    whole = true;
  });
}

/** What the fleet did, for the line of this case. */
export function tell(what: string): void {
  told.push(what);
}

export function lastLine(output: string): string {
  return output.trimEnd().split('\n').at(-1) ?? '';
}

/** Runs the rollout until it goes through: a dead run's lease, or a node on its way back, may stand before it. */
export async function repaired(args: readonly string[]): Promise<Ended> {
  return await until(
    async () => {
      const run = await runInside(['rollout', ...args]);
      return run.code === 0 ? run : Promise.reject(new Error(run.output.slice(-2000)));
    },
    { timeoutMs: 240_000, intervalMs: 2000, what: 'a rollout that goes through' },
  );
}

export const from = () => ['--from', other.folder];

/** A command of root's on a node. Throws when it fails there: a fault that was not made proves nothing. */
export async function on(node: string, command: string): Promise<void> {
  const { code, output } = await runInside(['ssh', node, `sudo sh -c '${command}'`], 30_000);
  if (code !== 0) throw new Error(`${node}: ${command}: exit code ${code}\n${output}`);
}

/** A rollout of the changed work tree that has come to this line of its output. */
export async function rolloutAt(line: RegExp): Promise<Started> {
  const run = startInside(['rollout', ...from()]);
  const over = new AbortController();
  const end = () => over.abort();
  run.ended.then(end, end);
  const seen = async () => (line.test(run.output()) ? true : undefined);
  const waiting = { timeoutMs: 120_000, intervalMs: 5, what: `${line}`, signal: over.signal };
  await until(seen, waiting).catch((error) => {
    run.killAll();
    throw new Error(`${error}\n${run.output()}`);
  });
  return run;
}

/** SIGKILL to the runner and all it started, as when its machine is lost. */
export async function kill(run: Started): Promise<void> {
  run.killAll();
  await run.ended;
}

/** Another release of the apps, whose start and whose gate take some seconds: time to break something. A dead run is over sooner. */
export function slowApps(): void {
  other.edit('configs/app/sessiond.service', (text) =>
    text.replace('Restart=always', 'ExecStartPre=/bin/sleep 3\nRestart=always'),
  );
  other.edit('environments/lab.yaml', (text) => text.replace('canaryMs: 1000', 'leaseMs: 12000\n  canaryMs: 4000'));
}

/** Who is primary, and who follows, as soon as all three are there. */
export async function redisRoles(): Promise<{ primary: string; replicas: string[] }> {
  return await until(
    async () => {
      const { output } = await runInside(['status']);
      const [primary] = /^redis-\d(?= .* primary$)/m.exec(output) ?? [];
      const replicas = [...output.matchAll(/^(redis-\d) .*replica of redis-\d, lag/gm)].map((match) => match[1] ?? '');
      return primary === undefined || replicas.length !== 2 ? Promise.reject(new Error(output)) : { primary, replicas };
    },
    { timeoutMs: 30_000, intervalMs: 1000, what: 'one primary and two replicas' },
  );
}
