import { randomBytes } from 'node:crypto';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { describePlans } from './describe.ts';
import { readyServer } from './drain.ts';
import { applyPlans, type Engine } from './engine.ts';
import type { NodeFacts } from './facts.ts';
import { type Fleet, readFacts } from './fleet.ts';
import type { Handover } from './handover.ts';
import { keepingLeases, waitForLeases } from './leases.ts';
import { type NodePlan, planNode } from './plan.ts';
import { handOverFrom } from './planned-handover.ts';
import { findPrimary } from './primary.ts';
import { redactor } from './redact.ts';
import { buildReleases, type ReleaseSources } from './release.ts';
import { type Phase, type Reporter, type Run, runOnNode } from './remote.ts';
import { nodeReport, type RolloutReport, summaryMarkdown } from './report.ts';
import { stageAll } from './stage.ts';
import { orderSteps } from './steps.ts';

interface RollOutDeps {
  readonly log: Log;
  readonly summary: (markdown: string) => Promise<void>;
  readonly who: string;
  readonly signal: AbortSignal;
}

interface Planned {
  readonly facts: ReadonlyMap<string, NodeFacts>;
  readonly plans: readonly NodePlan[];
  readonly primary: EnvironmentNode;
}

/** The lease of a run that died is over by then, by a node's clock and after the facts were read. */
const leaseMarginMs = 10_000;

/** Plans, and unless `planOnly` applies. Gives the report; the same goes to the summary when it throws. */
export async function rollOut(
  sources: ReleaseSources,
  fleet: Fleet,
  planOnly: boolean,
  deps: RollOutDeps,
): Promise<RolloutReport> {
  const { environment } = sources;
  const { facts, plans, primary } = await planWhenFree(sources, fleet, planOnly, deps);
  const started = Date.now();
  const run: Run = {
    id: randomBytes(6).toString('hex'),
    generation: started,
    leaseMs: environment.rollout.leaseMs,
    who: deps.who,
  };
  const redact = redactor([sources.secrets.redis, sources.secrets.sentinel]);
  const phases = new Map<string, Phase[]>(environment.nodes.map((node) => [node.name, []]));
  const reporter: Reporter = { log: deps.log, redact, onPhase: (node, phase) => phases.get(node)?.push(phase) };

  const due = plans.filter((plan) => plan.action !== 'nothing');
  const steps = orderSteps(environment, plans, facts, primary.name);
  const finish = async (end: {
    primary: string;
    handovers: readonly Handover[];
    error?: unknown;
  }): Promise<RolloutReport> => {
    const report: RolloutReport = {
      version: 1,
      environment: environment.name,
      mode: planOnly ? 'plan' : 'apply',
      run: run.id,
      generation: run.generation,
      startedAt: new Date(started).toISOString(),
      ms: Date.now() - started,
      ok: end.error === undefined,
      changed: due.length > 0,
      primary: end.primary,
      handovers: end.handovers,
      nodes: plans.map((plan) => nodeReport(plan, facts.get(plan.node)?.packages ?? {}, phases.get(plan.node) ?? [])),
      error: end.error === undefined ? undefined : redact(messageOf(end.error)),
    };
    // The rollout is what it is without a summary, and its own error matters more.
    await deps
      .summary(summaryMarkdown(report))
      .catch((error) => deps.log.warning(`the job summary can't be written: ${messageOf(error)}`));
    return report;
  };

  if (planOnly || due.length === 0) {
    for (const line of describePlans(plans, steps, redact)) deps.log.info(line);
    if (!planOnly) await settleDrained(environment, fleet, facts);
    return await finish({ primary: primary.name, handovers: [] });
  }
  const engine: Engine = {
    environment,
    fleet,
    run,
    reporter,
    plans,
    facts,
    primary,
    handOver: (from, now) => handOverFrom(from, environment, fleet, now, sources.secrets),
    signal: deps.signal,
  };
  try {
    const result = await keepingLeases(
      engine,
      due.map((plan) => plan.node),
      async () => {
        await stageAll(due, { environment, fleet, run, reporter });
        await settleDrained(environment, fleet, facts);
        return await applyPlans(engine);
      },
    );
    return await finish({ primary: result.primary.name, handovers: result.handovers });
  } catch (error) {
    await finish({ primary: primary.name, handovers: [], error });
    throw error;
  } finally {
    await giveBack(engine, due);
  }
}

/** The plan once no other run holds a node that is due; with `planOnly` at once. */
async function planWhenFree(
  sources: ReleaseSources,
  fleet: Fleet,
  planOnly: boolean,
  { log, signal }: RollOutDeps,
): Promise<Planned> {
  const deadline = performance.now() + sources.environment.rollout.leaseMs + leaseMarginMs;
  let planned = await planFleet(sources, fleet);
  while (!planOnly && (await waitForLeases(planned.facts, planned.plans, { sources, fleet, log, signal, deadline })))
    planned = await planFleet(sources, fleet);
  return planned;
}

/** What is, what should be, and the difference. The seeds of new nodes name the primary that there is now. */
async function planFleet(sources: ReleaseSources, fleet: Fleet): Promise<Planned> {
  const wanted = buildReleases(sources);
  const told = await Promise.all(
    wanted.map(async (release) => {
      const member = fleet.get(release.node);
      return member === undefined ? [] : [await readFacts(sources.environment, member, release)];
    }),
  );
  const facts = new Map(told.flat().map((each) => [each.node, each]));
  const primary = findPrimary(sources.environment, facts);
  const plans = buildReleases(sources, primary).flatMap((release) => {
    const each = facts.get(release.node);
    return each === undefined ? [] : [planNode(release, each)];
  });
  return { facts, plans, primary };
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
