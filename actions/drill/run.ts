import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deriveDeployKey, derivePassword } from '../core/derive.ts';
import { loadEnvironment } from '../core/environment/load.ts';
import { nodesOf } from '../core/environment/nodes.ts';
import type { Environment, ScenarioName } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Github, githubApi, isForbidden } from '../core/github.ts';
import { readInventory, sshTarget } from '../core/inventory.ts';
import { linodeApi } from '../core/linode/api.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import { connectSsh } from '../core/ssh.ts';
import { isoTime, nowMs } from './clock.ts';
import { type Fleet, openFleet } from './fleet.ts';
import { settle } from './inject.ts';
import type { DrillInputs } from './inputs.ts';
import { holdLeases } from './leases.ts';
import { type CommentContext, commentOf, summaryOf } from './report/comment.ts';
import { type DrillReport, type RunReport, reasonsOf, runReport, scenarioReport } from './report/data.ts';
import { deployedCommit, postComment } from './report/post.ts';
import { isBroken, runScenario } from './run-scenario.ts';
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
  const names = inputs.scenarios ?? environment.drill.scenarios;
  maskSecrets(inputs, environment, deps.mask);
  const github = deps.openGithub(inputs);
  const commit = github === undefined ? undefined : await deployedCommit(github, environment.name, deps.log);
  const startedAt = nowMs();
  const outcome = await drillFleet(inputs, environment, names, deps).catch((error: unknown) => messageOf(error));
  const { budgetMs, budgetsMs } = environment.drill;
  const reports =
    typeof outcome === 'string'
      ? []
      : names.map((name) => scenarioReport(name, budgetsMs[name] ?? budgetMs, outcome.get(name) ?? []));
  const report: DrillReport = {
    version: 1,
    environment: environment.name,
    commit: commit ?? null,
    startedAt: isoTime(startedAt),
    finishedAt: isoTime(nowMs()),
    ok: typeof outcome !== 'string' && reports.every((scenario) => scenario.ok),
    notStarted: typeof outcome === 'string' ? outcome : null,
    scenarios: reports,
  };
  return await publish(report, environment, { inputs, deps, github });
}

/** The runs of each scenario, while no deploy works on the fleet. Throws when the fleet can't be had. */
async function drillFleet(
  inputs: DrillInputs,
  environment: Environment,
  names: readonly ScenarioName[],
  deps: DrillDeps,
): Promise<Map<ScenarioName, RunReport[]>> {
  const fleet = await deps.openFleet(inputs, environment);
  try {
    const leases = await holdLeases(fleet, deps.log);
    try {
      await settleAll(fleet, deps.log);
      return await runAll(fleet, names, deps);
    } finally {
      await leases.release();
    }
  } finally {
    fleet.close();
  }
}

/** The inputs' secrets and those derived from them; a log is masked by lines, so the key is, too. */
function maskSecrets(inputs: DrillInputs, { name }: Environment, mask: (value: string) => void): void {
  const { fleetSecret, linodeToken, githubToken } = inputs;
  const passwords = (['redis', 'sentinel'] as const).map((purpose) => derivePassword(fleetSecret, name, purpose));
  const given: readonly (Secret | undefined)[] = [fleetSecret, linodeToken, githubToken];
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
        publicUrl: `http://${balancer.publicAddress}:${environment.haproxy.port}`,
        connect: (node) => connectSsh(sshTarget(environment, find(node.name), key)),
      });
    },
    openGithub(inputs) {
      if (inputs.githubToken === undefined) return undefined;
      const baseUrl = base.env.GITHUB_API_URL || 'https://api.github.com';
      return githubApi({ baseUrl, repository: base.env.GITHUB_REPOSITORY ?? '', token: inputs.githubToken });
    },
  };
}

/** Undoes on every node what an earlier drill, killed before it could, left broken. */
async function settleAll(fleet: Fleet, log: Log): Promise<void> {
  await Promise.all(
    fleet.nodes.map(async (node) => {
      if (await settle(node)) log.warning(`${node.name}: an earlier drill left a fault here; it is undone`);
    }),
  );
}

/** After a run that left the fleet broken, or a cancelled one, the others are not run, and say so. */
async function runAll(fleet: Fleet, names: readonly ScenarioName[], deps: DrillDeps) {
  const done = new Map<ScenarioName, RunReport[]>();
  const { requestsPerS } = fleet.environment.drill;
  let stopped: string | undefined;
  for (const name of names) {
    const scenario = scenarios[name];
    if (stopped !== undefined) {
      done.set(name, [runReport({ scenario, reason: `not run: ${stopped}`, whole: true }, requestsPerS)]);
      continue;
    }
    const context = { fleet, log: deps.log, signal: deps.signal };
    const result = await deps.log.group(name, () => runScenario(context, scenario));
    const report = runReport(result, requestsPerS);
    done.set(name, [report]);
    deps.log.info(oneLine(name, report));
    if (isBroken(result) && !result.whole) stopped = `the fleet is not steady since ${name}`;
    if (deps.signal.aborted) stopped = 'cancelled';
  }
  return done;
}

function oneLine(name: string, run: RunReport): string {
  const figures = `recovery ${run.recoveryMs ?? '-'} ms, ${run.failedRequests} of ${run.requests} requests failed, ${run.lostWrites} of ${run.ackedWrites} acknowledged writes lost`;
  return `${name.padEnd(20)} ${run.ok ? 'ok ' : 'RED'}  ${figures}${run.reason === null ? '' : `  (${run.reason})`}`;
}

interface Destination {
  readonly inputs: DrillInputs;
  readonly deps: DrillDeps;
  readonly github: Github | undefined;
}

/** Files first, then the summary, then GitHub: what fails later leaves what came before. */
async function publish(
  report: DrillReport,
  environment: Environment,
  { inputs, deps, github }: Destination,
): Promise<DrillResult> {
  const context: CommentContext = {
    runUrl: runUrlOf(deps.env),
    requestTimeoutMs: environment.drill.requestTimeoutMs,
  };
  const comment = commentOf(report, context);
  const summary = summaryOf(report, context);
  mkdirSync(inputs.out, { recursive: true });
  writeFileSync(join(inputs.out, 'drill.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  writeFileSync(join(inputs.out, 'pull-request.md'), comment);
  writeFileSync(join(inputs.out, 'summary.md'), summary);
  await deps.writeSummary(summary);

  const reasons = reasonsOf(report);
  if (github === undefined || report.commit === null) {
    const why = github === undefined ? 'no github-token was given' : 'the deployed commit is unknown';
    deps.log.warning(`Nothing was posted: ${why}. The report is in ${inputs.out}/`);
    return { report, reasons, commentUrl: '' };
  }
  try {
    const commentUrl = await postComment(github, report.environment, report.commit, comment);
    deps.log.info(`Posted: ${commentUrl}`);
    return { report, reasons, commentUrl };
  } catch (error) {
    if (isForbidden(error)) {
      deps.log.warning(
        `The report is in the job summary and in ${inputs.out}/, for it may not be posted: ${messageOf(error)}`,
      );
      return { report, reasons, commentUrl: '' };
    }
    return { report, reasons: [...reasons, `the report was not posted: ${messageOf(error)}`], commentUrl: '' };
  }
}

function runUrlOf(env: DrillDeps['env']): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository, GITHUB_RUN_ID: id } = env;
  return server && repository && id ? `${server}/${repository}/actions/runs/${id}` : undefined;
}
