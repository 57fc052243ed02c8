import { deriveDeployKey, derivePassword } from '../core/derive.ts';
import { loadEnvironment } from '../core/environment/load.ts';
import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, ScenarioName } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Github, githubApi } from '../core/github.ts';
import { readInventory, sshTarget } from '../core/inventory.ts';
import { linodeApi } from '../core/linode/api.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import { connectSsh } from '../core/ssh.ts';
import { chooseScenarios, whyNot } from './choose.ts';
import { type ClockOffset, isoTime, measureClocks, nowMs } from './clock.ts';
import { openDeploys } from './deploy.ts';
import { type Fleet, fleetNodes, openFleet } from './fleet.ts';
import { settle } from './inject.ts';
import type { DrillInputs } from './inputs.ts';
import { holdLeases } from './leases.ts';
import { runScript } from './node-script.ts';
import { publish } from './publish.ts';
import { type DrillReport, type RunReport, type ScenarioReport, scenarioReport } from './report/data.ts';
import { deployedCommit } from './report/post.ts';
import { budgetOf } from './run-scenario.ts';
import { type Plan, planRuns, type Runs, withEarlier } from './runs/resume.ts';
import { runRounds } from './runs/rounds.ts';
import { scenarios } from './scenarios/index.ts';

/** What the run touches besides the fleet; tests put their own here. */
export interface DrillDeps {
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted: heal, write the report and end. */
  readonly signal: AbortSignal;
  readonly openFleet: (inputs: DrillInputs, environment: Environment) => Promise<Fleet>;
  readonly openGithub: (inputs: DrillInputs) => Github | undefined;
  readonly writeSummary: (markdown: string) => Promise<void>;
  /** Keeps a secret out of the log. */
  readonly mask: (value: string) => void;
}

export interface DrillResult {
  readonly report: DrillReport;
  /** Why the action fails; empty when it passes. */
  readonly reasons: readonly string[];
  /** The comment's address; empty when nothing was posted. */
  readonly commentUrl: string;
}

/**
 * Runs the scenarios one after the other, writes the report and posts it. A red drill is a result, not an error, and so is one that
 * could not start: else yesterday's report would stand. Throws a FiredrillError when the inputs or the environment file are wrong.
 */
export async function run(inputs: DrillInputs, deps: DrillDeps): Promise<DrillResult> {
  const environment = loadEnvironment(`environments/${inputs.environment}.yaml`);
  const names = chooseScenarios(inputs.scenarios, environment.drill, Date.now());
  refuseWhenOff(environment, deps.env);
  maskSecrets(inputs, environment, deps.mask);
  const github = deps.openGithub(inputs);
  const commit = github === undefined ? undefined : await deployedCommit(github, environment.name, deps.log);
  const startedAt = isoTime(nowMs());
  const plan = planRuns(inputs, environment, { commit: commit ?? null, at: startedAt }, names, deps.log);
  const outcome = await drillFleet(inputs, environment, plan, deps).catch((error: unknown) => messageOf(error));
  const measured = typeof outcome === 'string' ? undefined : outcome;
  const reportsOf = (runs: (own: Runs) => Runs): ScenarioReport[] =>
    measured === undefined ? [] : scenarioReports(names, runs(measured.runs), environment);
  const all = reportsOf((own) => withEarlier(plan, own));
  const report: DrillReport = {
    version: 1,
    environment: environment.name,
    commit: commit ?? null,
    startedAt: plan.earlier[0]?.at ?? startedAt,
    finishedAt: isoTime(nowMs()),
    ok: measured !== undefined && all.every((scenario) => scenario.ok),
    notStarted: typeof outcome === 'string' ? outcome : null,
    clocks: (measured?.clocks ?? []).map(roundedClock),
    scenarios: all,
  };
  // The history gets every run once.
  const night = { ...report, startedAt, scenarios: reportsOf((own) => own).filter(({ runs }) => runs.length > 0) };
  return await publish(report, night, environment, { inputs, deps, github });
}

function scenarioReports(names: readonly ScenarioName[], runs: Runs, { drill }: Environment): ScenarioReport[] {
  return names.map((name) => scenarioReport(name, budgetOf(scenarios[name], drill), runs.get(name) ?? []));
}

/** The runs of each scenario, while no deploy works on the fleet. Throws when the fleet can't be had. */
async function drillFleet(
  inputs: DrillInputs,
  environment: Environment,
  plan: Plan,
  deps: DrillDeps,
): Promise<{ readonly runs: Runs; readonly clocks: readonly ClockOffset[] }> {
  const fleet = await deps.openFleet(inputs, environment);
  try {
    const leases = await holdLeases(fleet, deps.log);
    try {
      await settleAll(fleet, deps.log);
      const clocks = await measureClocks(fleet.nodes);
      const { log, signal } = deps;
      const deploys = () => openDeploys(fleet, inputs, { here: process.cwd(), signal });
      const runs = await runRounds(fleet, plan, { log, signal, leases, openDeploys: deploys });
      await leaveResult(fleet, [...withEarlier(plan, runs).values()].flat(), deps.log);
      return { runs, clocks };
    } finally {
      await leases.release();
    }
  } finally {
    fleet.close();
  }
}

/** The inputs' secrets and those derived from them; a log is masked by lines, so the key is, too. */
function maskSecrets(inputs: DrillInputs, { name }: Environment, mask: (value: string) => void): void {
  const { fleetSecret, linodeToken, githubToken, alertSecret, watchdogUrl } = inputs;
  const passwords = (['redis', 'sentinel'] as const).map((purpose) => derivePassword(fleetSecret, name, purpose));
  const given: readonly (Secret | undefined)[] = [fleetSecret, linodeToken, githubToken, alertSecret, watchdogUrl];
  for (const secret of [...given, ...passwords]) if (secret !== undefined) mask(secret.reveal());
  const key = deriveDeployKey(fleetSecret, name).privateKey.reveal();
  for (const line of key.split('\n')) if (line.length >= 8 && !line.startsWith('-----')) mask(line);
}

/** The deps of a real run: Linode's API tells the addresses, GitHub's is called when there is a token. */
export function realDeps(base: Pick<DrillDeps, 'log' | 'env' | 'signal' | 'writeSummary' | 'mask'>): DrillDeps {
  return {
    ...base,
    async openFleet(inputs, environment) {
      const { api: baseUrl, requestTimeoutMs } = environment.linode;
      const api = linodeApi({ baseUrl, token: inputs.linodeToken, requestTimeoutMs });
      const inventory = await readInventory(environment, api, inputs.fleetSecret);
      const key = deriveDeployKey(inputs.fleetSecret, environment.name).privateKey;
      const find = (name: string) => {
        const node = inventory.nodes.find((each) => each.name === name);
        if (node !== undefined) return node;
        throw new FiredrillError({ code: 'bug', what: `the inventory has no ${name}` });
      };
      const balancer = find(nodesOf(environment, 'lb')[0]?.name ?? '');
      return openFleet({
        environment,
        secret: inputs.fleetSecret,
        publicUrl: `http://${environment.haproxy.shared?.address ?? balancer.publicAddress}:${environment.haproxy.port}`,
        connect: (node) => connectSsh(sshTarget(environment, find(node.name), key)),
        async boot(node) {
          const { linodeId } = find(node.name);
          // Linode's watchdog may have been quicker.
          const { status } = await api.getInstance(linodeId);
          if (status !== 'running' && status !== 'booting') await api.bootInstance(linodeId);
        },
      });
    },
    openGithub(inputs) {
      if (inputs.githubToken === undefined) return undefined;
      const baseUrl = base.env.GITHUB_API_URL || 'https://api.github.com';
      return githubApi({ baseUrl, repository: base.env.GITHUB_REPOSITORY ?? '', token: inputs.githubToken });
    },
  };
}

/** For the alerts on a drill that failed or is overdue. */
async function leaveResult(fleet: Fleet, runs: readonly RunReport[], log: Log): Promise<void> {
  const ok = runs.every((each) => each.ok) ? '1' : '0';
  const seconds = String(Math.floor(Date.now() / 1000));
  for (const node of fleetNodes(fleet, 'monitor'))
    await runScript(node, 'result.sh', [ok, seconds], { timeoutMs: 10_000 }).catch((error: unknown) =>
      log.warning(`The result is not on ${node.name}: ${messageOf(error)}`),
    );
}

/** Undoes on every node what an earlier drill, killed before it could, left broken. */
async function settleAll(fleet: Fleet, log: Log): Promise<void> {
  await Promise.all(
    fleet.nodes.map(async (node) => {
      if (await settle(node)) log.warning(`${node.name}: an earlier drill left a fault here; it is undone`);
    }),
  );
}

/** Throws a FiredrillError (`config`) when nobody wants this environment drilled now: it stays as it is, and so does its last report. */
function refuseWhenOff(environment: Environment, env: DrillDeps['env']): void {
  const killSwitch = (env.FIREDRILL_DRILL ?? '').toLowerCase() === 'off';
  const scheduled = env.GITHUB_EVENT_NAME === 'schedule';
  const what = whyNot(environment.drill, { killSwitch, scheduled, now: Date.now() });
  if (what === undefined) return;
  throw new FiredrillError({ code: 'config', where: `environment ${environment.name}`, what: `no drill: ${what}` });
}

function roundedClock({ node, offsetMs, errorMs }: ClockOffset): ClockOffset {
  return { node, offsetMs: Math.round(offsetMs * 10) / 10, errorMs: Math.round(errorMs * 10) / 10 };
}
