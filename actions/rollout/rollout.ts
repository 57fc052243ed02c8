import { randomBytes } from 'node:crypto';
import type { Environment } from '../core/environment/schema.ts';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { holderOf } from '../core/shared-address.ts';
import { describePlans } from './describe.ts';
import { readyServer } from './drain.ts';
import { applyPlans, type Progress } from './engine.ts';
import type { NodeFacts } from './facts.ts';
import type { Fleet } from './fleet.ts';
import { keepingLeases } from './leases.ts';
import type { NodePlan } from './plan.ts';
import { planFleet, planWhenFree, refuseBad } from './planning.ts';
import { redactor } from './redact.ts';
import type { ReleaseSources } from './release.ts';
import { type Reporter, type Run, runOnNode } from './remote.ts';
import { nodeReport, type RolloutReport, type TimedPhase } from './report.ts';
import { stageAll } from './stage.ts';
import type { Engine } from './state.ts';
import { orderSteps } from './steps.ts';
import { summaryMarkdown } from './summary.ts';
import { fleetSecrets } from './variables.ts';

export interface RollOutOptions {
  readonly mode: 'plan' | 'apply' | 'rollback';
  /** Tries a release again that failed on its node. */
  readonly force: boolean;
}

interface RollOutDeps {
  readonly log: Log;
  readonly summary: (markdown: string) => Promise<void>;
  readonly who: string;
  readonly signal: AbortSignal;
  /** Called with the report as soon as there is one, also before it throws. */
  readonly onReport?: (report: RolloutReport) => void;
}

/** Plans, and unless the mode is `plan` applies. Gives the report; the same goes to the summary and to `onReport` when it throws. */
export async function rollOut(
  sources: ReleaseSources,
  fleet: Fleet,
  { mode, force }: RollOutOptions,
  deps: RollOutDeps,
): Promise<RolloutReport> {
  const { environment } = sources;
  const { facts, plans, primary } =
    mode === 'plan' ? await planFleet(sources, fleet) : await planWhenFree(mode, sources, fleet, deps);
  const started = Date.now();
  const run: Run = {
    id: randomBytes(6).toString('hex'),
    // A clock that is behind another runner's must not make this run an old one.
    generation: Math.max(started, ...[...facts.values()].map((each) => each.generation + 1)),
    leaseMs: environment.rollout.leaseMs,
    who: deps.who,
  };
  const redact = redactor(fleetSecrets(sources.secrets));
  const phases = new Map<string, TimedPhase[]>(environment.nodes.map((node) => [node.name, []]));
  const reporter: Reporter = {
    log: deps.log,
    redact,
    onPhase: (node, phase) => phases.get(node)?.push({ ...phase, endMs: Date.now() - started }),
  };
  const progress: Progress = { handovers: [], bad: [], primary };
  const due = plans.filter((plan) => plan.action !== 'nothing');

  const finish = async (error?: unknown): Promise<RolloutReport> => {
    const report: RolloutReport = {
      version: 1,
      environment: environment.name,
      mode,
      run: run.id,
      generation: run.generation,
      startedAt: new Date(started).toISOString(),
      ms: Date.now() - started,
      ok: error === undefined,
      changed: due.length > 0,
      primary: progress.primary.name,
      handovers: progress.handovers,
      nodes: plans.map((plan) => nodeReport(plan, facts.get(plan.node)?.packages ?? {}, phases.get(plan.node) ?? [])),
      bad: progress.bad.map((each) => ({ ...each, why: redact(each.why) })),
      error: error === undefined ? undefined : redact(messageOf(error)),
    };
    deps.onReport?.(report);
    // The rollout is what it is without a summary, and its own error matters more.
    await deps
      .summary(summaryMarkdown(report))
      .catch((failure) => deps.log.warning(`the job summary can't be written: ${messageOf(failure)}`));
    return report;
  };

  if (mode === 'plan' || due.length === 0) {
    const steps = orderSteps(environment, plans, facts, primary.name);
    for (const line of describePlans(plans, steps, redact, holderOf(environment, facts))) deps.log.info(line);
    if (mode !== 'plan') await settleDrained(environment, fleet, facts);
    return await finish();
  }
  const engine: Engine = { environment, fleet, run, reporter, plans, facts, primary, signal: deps.signal };
  const names = due.map((plan) => plan.node);
  try {
    if (!force) refuseBad(due);
    await keepingLeases(engine, names, async () => {
      await stageAll(due, { environment, fleet, run, reporter });
      await settleDrained(environment, fleet, facts);
      await applyPlans(engine, progress);
    });
  } catch (error) {
    await finish(error);
    throw error;
  } finally {
    await giveBack(engine, due);
  }
  return await finish();
}

/** A run that died between drain and ready left a server without traffic. */
async function settleDrained(
  environment: Environment,
  fleet: Fleet,
  facts: ReadonlyMap<string, NodeFacts>,
): Promise<void> {
  for (const [name, lb] of fleet) {
    const drained = (facts.get(name)?.haproxy ?? []).filter(
      (server) => server.backend === 'app' && server.status === 'DRAIN',
    );
    for (const server of drained)
      if (environment.nodes.some((node) => node.name === server.server)) await readyServer(lb, server.server);
  }
}

/** The leases are given back even when a node does not answer any more: its own ends by itself. */
async function giveBack(engine: Engine, due: readonly NodePlan[]): Promise<void> {
  const members = due.flatMap((plan) => engine.fleet.get(plan.node) ?? []);
  const command = { words: ['finish'], timeoutMs: 20_000 };
  await Promise.allSettled(members.map((member) => runOnNode(member, engine.run, command, engine.reporter)));
}
