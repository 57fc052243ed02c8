import { FiredrillError, messageOf } from '../core/errors.ts';
import { confirm, confirmWithinMs, goneBack } from './confirm.ts';
import { changedLines } from './describe.ts';
import { drainServer, readyServer } from './drain.ts';
import { throwFailures, withMore } from './failures.ts';
import type { Member } from './fleet.ts';
import { gateRule, proveDispensable, proveHealthy } from './look.ts';
import { interrupts, type NodePlan } from './plan.ts';
import { type NodeCommand, NodeFailure, runOnNode } from './remote.ts';
import { type Part, partOf, phaseDone, type State } from './state.ts';

/**
 * One step: these nodes get their releases at the same time, are proved healthy from outside, and confirmed. When it throws, each of
 * them that did not pass has gone back to what it had, or will do so by itself.
 */
export async function changeNodes(state: State, names: readonly string[]): Promise<void> {
  const parts = names.map((name) => partOf(state, name));
  await prove(state, parts);
  const changed = await Promise.allSettled(parts.map((each) => changeNode(state, each)));
  // The others are brought to their end before the failure is told: the next run finds them done.
  const good = parts.filter((_, index) => changed[index]?.status === 'fulfilled');
  throwFailures([
    ...changed,
    ...(await Promise.allSettled([good.length > 0 ? proveAndConfirm(state, good) : undefined])),
  ]);
}

async function prove(state: State, parts: readonly Part[]): Promise<void> {
  const stopping = parts.filter((each) => state.serving && interrupts(each.plan));
  if (stopping.length === 0) return;
  const begun = performance.now();
  await proveDispensable(state, stopping);
  for (const each of stopping) phaseDone(state, each.node.name, 'survive', begun, 'the fleet can do without it');
}

async function changeNode(state: State, part: Part): Promise<void> {
  const { member, node } = part;
  await withoutTraffic(state, part, async () => {
    try {
      await runOnNode(member, state.engine.run, switchCommand(state, part), state.engine.reporter);
    } catch (error) {
      throw withMore(error, await afterFailedSwitch(state, part, error));
    }
    state.touched = true;
    state.deployed.add(node.name);
  });
}

/** What else there is to say; by then the node has gone back, if it was changed at all. */
async function afterFailedSwitch(state: State, part: Part, error: unknown): Promise<string[]> {
  if (!(error instanceof NodeFailure)) {
    // The command may have come through or not: the node shall not be left between the two.
    state.touched = true;
    return await goneBack(state, part, '-');
  }
  if (!error.phases.some((phase) => phase.phase === 'arm' && phase.ok)) return [];
  state.touched = true;
  noteBad(state, part, error.phases.find((phase) => !phase.ok)?.detail ?? '');
  return changedLines(part.plan, state.engine.reporter.redact);
}

/** While `work` runs, HAProxy sends the node nothing, if it is an app that has to stop. */
export async function withoutTraffic(state: State, { node, plan }: Part, work: () => Promise<void>): Promise<void> {
  const { environment } = state.engine;
  const drained = state.serving && interrupts(plan) && node.roles.includes('app') ? deployedLbs(state) : [];
  const drainAndWork = async () => {
    const begun = performance.now();
    throwFailures(await Promise.allSettled(drained.map((lb) => drainServer(lb, node.name, environment.app.drainMs))));
    if (drained.length > 0) phaseDone(state, node.name, 'drain', begun, '');
    await work();
  };
  const worked = await Promise.allSettled([drainAndWork()]);
  throwFailures([...worked, ...(await Promise.allSettled(drained.map((lb) => readyServer(lb, node.name))))]);
}

/** The look from outside and the confirmation; or all of them go back to what they had. */
async function proveAndConfirm(state: State, parts: readonly Part[]): Promise<void> {
  const canary = state.serving && parts.some((each) => interrupts(each.plan) && isCanary(state, each));
  // Made while the gate looks: it is new all the same, and the gate does not wait for it.
  const fresh = parts.map((each) => each.member.again());
  for (const line of fresh) line.catch(() => {});
  try {
    const begun = performance.now();
    const nodes = parts.map((each) => each.node);
    const { looks, waitedMs } = await proveHealthy(state, 'gate', nodes, gateRule(state, canary));
    for (const { name } of nodes) phaseDone(state, name, 'gate', begun, `${looks} looks`, waitedMs);
    throwFailures(await Promise.allSettled(parts.map((each, index) => confirm(state, each, fresh[index]))));
  } catch (error) {
    for (const line of fresh) line.then((ssh) => ssh.close()).catch(() => {});
    const guilty = parts.find((each) => each.node.name === guiltyNode(error));
    if (guilty !== undefined) noteBad(state, guilty, messageOf(error));
    const told = parts.map((each) => quietlyBack(state, each, each === guilty ? messageOf(error) : '-'));
    const changed = guilty === undefined ? [] : changedLines(guilty.plan, state.engine.reporter.redact);
    throw withMore(error, [...(await Promise.all(told)).flat(), ...changed]);
  }
  for (const part of parts) {
    state.confirmed.push(part);
    if (interrupts(part.plan)) for (const role of part.node.roles) state.proved.add(role);
  }
}

/** The node whose release did not pass its gate. A confirmation that fails, and a run that is cancelled, accuse none. */
function guiltyNode(error: unknown): string | undefined {
  if (!(error instanceof FiredrillError)) return undefined;
  const { code, phase, node } = error.facts;
  return code === 'gate' && phase === 'gate' ? node : undefined;
}

/** Goes back without traffic; with it where HAProxy does not answer. Never throws. */
async function quietlyBack(state: State, part: Part, why: string): Promise<string[]> {
  let said: string[] | undefined;
  const drained = withoutTraffic(state, part, async () => {
    said = await goneBack(state, part, why);
  });
  const trouble = await drained.then(
    () => [],
    (error) => [messageOf(error)],
  );
  return [...(said ?? (await goneBack(state, part, why))), ...trouble];
}

function isCanary(state: State, { node }: Part): boolean {
  return node.roles.some((role) => !state.proved.has(role));
}

function switchCommand(state: State, { plan, nonce }: Part): NodeCommand {
  const { environment, run } = state.engine;
  const { gateSuccesses, gateIntervalMs } = environment.rollout;
  const lease = [String(run.generation), String(run.leaseMs), run.who];
  const deadman = [nonce, String(confirmWithinMs(state))];
  const units = plan.units.map((unit) => `${unit.unit}=${unit.how}`);
  const activeMs = String(gateSuccesses * gateIntervalMs);
  return {
    words: ['switch', plan.release.digest, ...lease, ...deadman, activeMs, plan.previous ?? '-', ...units],
    timeoutMs: environment.ssh.commandTimeoutMs,
  };
}

function noteBad(state: State, { node, plan }: Part, detail: string): void {
  if (!isMarked(plan)) return;
  state.bad.push({ node: node.name, digest: plan.release.digest, why: detail.split('\n')[0] ?? '' });
}

/** As node/switch.sh does: a new node, and one that was only put right, may try the same again. */
function isMarked(plan: NodePlan): boolean {
  return plan.previous !== undefined && plan.previous !== plan.release.digest;
}

function deployedLbs(state: State): Member[] {
  return [...state.engine.fleet.values()].filter(
    (member) => member.node.roles.includes('lb') && state.deployed.has(member.node.name),
  );
}
