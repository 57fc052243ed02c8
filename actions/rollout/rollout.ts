import { randomBytes } from 'node:crypto';
import { sleep } from '../core/deadline.ts';
import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { describePlans } from './describe.ts';
import { readyServer } from './drain.ts';
import { applyPlans, type Engine, keepingLeases } from './engine.ts';
import type { NodeFacts } from './facts.ts';
import { type Fleet, readFacts } from './fleet.ts';
import type { Handover } from './handover.ts';
import { type NodePlan, planNode } from './plan.ts';
import { handOverFrom } from './planned-handover.ts';
import { findPrimary } from './primary.ts';
import { redactor } from './redact.ts';
import { buildReleases, type ReleaseSources } from './release.ts';
import { type Phase, type Reporter, type Run, runOnNode } from './remote.ts';
import { nodeReport, type RolloutReport, summaryMarkdown } from './report.ts';
import { stageAll } from './stage.ts';
import { orderSteps } from './steps.ts';

export interface RollOutDeps {
  readonly log: Log;
  readonly summary: (markdown: string) => Promise<void>;
  readonly who: string;
  readonly signal: AbortSignal;
}

/** Plans, and unless `planOnly` applies. Gives the report; the same goes to the summary when it throws. */
export async function rollOut(
  sources: ReleaseSources,
  fleet: Fleet,
  planOnly: boolean,
  deps: RollOutDeps,
): Promise<RolloutReport> {
  const { environment } = sources;
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

  const { facts, plans, primary } = await planFleet(sources, fleet);
  if (!planOnly && (await waitForLeases(sources, fleet, facts, plans, deps)))
    return await rollOut(sources, fleet, false, deps);
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
    await deps.summary(summaryMarkdown(report));
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

/** What is, what should be, and the difference. The seeds of new nodes name the primary that there is now. */
export async function planFleet(
  sources: ReleaseSources,
  fleet: Fleet,
): Promise<{ facts: Map<string, NodeFacts>; plans: NodePlan[]; primary: ReturnType<typeof findPrimary> }> {
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

/**
 * Whether nodes that are due were leased and have become free meanwhile, so that everything is to be looked at anew. A dead run's lease
 * ends by itself. Throws a FiredrillError (`lease`) when the run that holds one shows that it lives, by renewing it.
 */
async function waitForLeases(
  sources: ReleaseSources,
  fleet: Fleet,
  facts: ReadonlyMap<string, NodeFacts>,
  plans: readonly NodePlan[],
  deps: RollOutDeps,
): Promise<boolean> {
  const held = plans.flatMap((plan) => {
    const lease = plan.action === 'nothing' ? undefined : facts.get(plan.node)?.lease;
    return lease === undefined ? [] : [{ node: plan.node, lease }];
  });
  const first = held[0];
  if (first === undefined) return false;
  const { node, lease } = first;
  deps.log.info(
    `${held.map((each) => each.node).join(', ')}: held by run ${lease.run} (${lease.who}); its lease ends in ${(lease.leftMs / 1000).toFixed(0)} s unless it lives`,
  );
  const ends = performance.now() + Math.max(...held.map((each) => each.lease.leftMs));
  while (performance.now() < ends + 500) {
    await sleep(Math.min(2000, Math.max(100, ends + 500 - performance.now())), deps.signal);
    const now = await Promise.all(held.map((each) => leaseOf(sources, fleet, each.node)));
    if (now.every((each) => each === undefined)) return true;
    const left = now[0]?.leftMs ?? 0;
    if (left > ends - performance.now() + 1000)
      throw new FiredrillError({
        code: 'lease',
        node,
        what: `run ${lease.run} (${lease.who}) has been at work on this node for ${(lease.heldMs / 1000).toFixed(0)} s and is alive`,
        fix: 'Wait for it, then run again',
      });
  }
  return true;
}

async function leaseOf(sources: ReleaseSources, fleet: Fleet, node: string): Promise<NodeFacts['lease']> {
  const member = fleet.get(node);
  const release = buildReleases(sources).find((each) => each.node === node);
  return member === undefined || release === undefined
    ? undefined
    : (await readFacts(sources.environment, member, release)).lease;
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
