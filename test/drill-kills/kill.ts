import { sleep, until } from '../../actions/core/deadline.ts';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import type { ScenarioName } from '../../actions/core/environment/schema.ts';
import { messageOf } from '../../actions/core/errors.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { Fleet } from '../../actions/drill/fleet.ts';
import { realDeps } from '../../actions/drill/run.ts';
import { proveSteady } from '../../actions/drill/steady/steady.ts';
import type { TrafficReport } from '../faults/client.ts';
import { startTraffic } from '../faults/traffic.ts';
import { type Started, startInside } from '../fleet/lab-command.ts';
import { clone, environmentName, stateDir } from '../lab/paths.ts';
import { killStrays } from '../lab/runner/process.ts';
import { labSecrets } from '../lab/secrets.ts';

/** What became of the fleet after its drill was killed. */
export interface Killed {
  /** From the drill's first work on the nodes to its death (ms). */
  readonly killedAfterMs: number;
  /** The last thing that the drill said. */
  readonly at: string;
  /** Nodes that had promised to undo a fault when it died. */
  readonly armed: readonly string[];
  /** From its death until every promise was kept and the fleet was proved steady (ms); null: not within the limit. */
  readonly wholeMs: number | null;
  /** Why not. */
  readonly reason: string | null;
  /** What clients saw from right after its death until the fleet was whole, or the limit. */
  readonly clients: Pick<TrafficReport, 'requests' | 'longestMs' | 'wrong'> & { readonly failed: number };
}

/** When a drill dies: so long (ms) after its first work on the nodes, or after it broke something. */
export interface Death {
  readonly after: 'begin' | 'fault';
  readonly ms: number;
}

/** The drill holds the nodes from here on. */
const began = /nodes are the drill's/;
const broke = /^\s*\S+ +broken /m;

/** How long a drill of that scenario works on the nodes when nobody kills it (ms). Throws when it does not begin. */
export async function drillTime(scenario: ScenarioName): Promise<number> {
  const { run, beganAt } = await started(scenario);
  await run.ended;
  return Math.round(performance.now() - beganAt);
}

/**
 * Kills a drill of that scenario with SIGKILL, its runner and all of its processes, and does nothing but look on. Undefined when the
 * drill was quicker and had ended.
 */
export async function killDrill(scenario: ScenarioName, death: Death, limitMs: number): Promise<Killed | undefined> {
  const { run, beganAt } = await started(scenario);
  const from = death.after === 'begin' ? beganAt : await moment(run, broke);
  await Promise.race([run.ended, sleep(Math.max(0, death.ms - (performance.now() - from)))]);
  if (run.child.exitCode !== null) return undefined;
  run.killAll();
  killStrays(`${stateDir}/work/drill`); // the runner gives each step a process group of its own
  const diedAt = performance.now();
  const at = run.output().trimEnd().split('\n').at(-1)?.trim() ?? '';
  await run.ended;
  const killedAfterMs = Math.round(diedAt - beganAt);
  const fleet = await openLab(limitMs);
  const traffic = startTraffic(fleet.publicUrl);
  try {
    const armed = await promises(fleet).catch((error: unknown) => [`unknown: ${messageOf(error)}`]);
    const end = await untilWhole(fleet, diedAt, limitMs);
    const { requests, failed, longestMs, wrong } = await traffic.end();
    return { killedAfterMs, at, armed, ...end, clients: { requests, failed: failed.length, longestMs, wrong } };
  } finally {
    fleet.close();
  }
}

async function untilWhole(fleet: Fleet, diedAt: number, limitMs: number): Promise<Pick<Killed, 'wholeMs' | 'reason'>> {
  // Steady since then: it is proved by looking on for a while.
  const { steadyMs } = fleet.environment.drill;
  const left = () => Math.max(1, Math.ceil(limitMs + steadyMs - (performance.now() - diedAt)));
  try {
    await until(() => keptAll(fleet), { timeoutMs: left(), intervalMs: 500, what: "the nodes' promises" });
    await proveSteady(fleet, 'after the kill', AbortSignal.timeout(left()));
    return { wholeMs: Math.round(performance.now() - diedAt - steadyMs), reason: null };
  } catch (error) {
    return { wholeMs: null, reason: messageOf(error) };
  }
}

async function started(scenario: ScenarioName): Promise<{ run: Started; beganAt: number }> {
  const run = startInside(['drill', scenario, '--verbose']);
  // It waits for the leases of the one before, which was killed.
  return { run, beganAt: await moment(run, began) };
}

/** When the drill said that, on performance.now's clock. Throws when it ends without. */
async function moment(run: Started, said: RegExp): Promise<number> {
  let ended = false;
  void run.ended.finally(() => {
    ended = true;
  });
  while (!said.test(run.output())) {
    if (ended) throw new Error(`the drill never said ${said}:\n${run.output().split('\n').slice(-15).join('\n')}`);
    await sleep(20);
  }
  return performance.now();
}

async function keptAll(fleet: Fleet): Promise<true> {
  const armed = await promises(fleet);
  if (armed.length > 0) throw new Error(`not kept yet on ${armed.join(', ')}`);
  return true;
}

/** The nodes where guard.sh is still armed. Throws when one does not answer. */
async function promises(fleet: Fleet): Promise<string[]> {
  const armed = await Promise.all(
    fleet.nodes.map(async (node) => {
      const question = 'test -e /etc/systemd/system/firedrill-heal.service && echo armed || echo none';
      const { stdout } = await node.ssh.exec(question, { timeoutMs: 3000 });
      return stdout.trim() === 'armed' ? [node.name] : [];
    }),
  );
  return armed.flat();
}

async function openLab(steadyTimeoutMs: number): Promise<Fleet> {
  const nothing = { env: {}, mask: () => {}, writeSummary: async () => {}, log: plainLog(() => {}) };
  const deps = realDeps({ ...nothing, signal: new AbortController().signal });
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  const own = loadEnvironment(`${clone}/environments/${environmentName}.yaml`);
  const environment = { ...own, drill: { ...own.drill, steadyTimeoutMs } };
  const secrets = { fleetSecret: new Secret(FIREDRILL_SECRET), linodeToken: new Secret(LINODE_TOKEN) };
  const rest = { environment: environmentName, scenarios: [], repeat: 1, githubToken: undefined, out: '', runs: '' };
  return await deps.openFleet({ ...rest, ...secrets }, environment);
}
