import { until } from '../core/deadline.ts';
import { nodeNamed } from '../core/environment/nodes.ts';
import { FiredrillError } from '../core/errors.ts';
import { nowMs } from './clock.ts';
import { type Fleet, type FleetNode, nodeAt } from './fleet.ts';
import { runScript } from './node-script.ts';
import type { Fault, ScriptCall, Step } from './scenarios/index.ts';

/** When the fault took effect, on the controller's monotonic clock, and how well that is known. */
export interface Injection {
  /** When the first node was told: nothing that failed earlier is the fault's. */
  readonly toldAt: number;
  readonly faultAt: number;
  /** Half a round trip to the node, plus what the fault took to be carried out there (ms). */
  readonly uncertaintyMs: number;
  /** What the node said of how it did it, if it had a choice. */
  readonly by: string | undefined;
}

/** A node that a scenario may break, and what undoes all that may be done to it. */
export interface Armed {
  readonly node: FleetNode;
  readonly undo: readonly ScriptCall[];
  readonly powersOff: boolean;
  readonly reboots: boolean;
  /** How long the controller can't reach it (ms), at most; 0: it can all the time. */
  readonly lastsMs: number;
}

const scriptTimeoutMs = 20_000;
/** For one try to undo what ends by itself: a connection from before may be dead, and nobody says so. */
const tryMs = 10_000;
/** From the end of such a fault until it has to be undone. */
const reachableAgainMs = 30_000;

/** The nodes of the steps, each with all of its undos. Pure. */
export function undoPlan(fleet: Pick<Fleet, 'environment' | 'nodes'>, steps: readonly Step[]): Armed[] {
  const names = [...new Set(steps.flatMap((step) => step.nodes))];
  return names.map((name) => {
    const own = steps.filter((step) => step.nodes.includes(name));
    const undo = new Map(own.map((step) => [words(step.undo).join(' '), step.undo]));
    const node = nodeAt(fleet, nodeNamed(fleet.environment, name).address);
    const powersOff = own.some((step) => step.powersOff === true);
    const reboots = own.some((step) => step.reboots === true);
    return { node, undo: [...undo.values()], powersOff, reboots, lastsMs: longest(own) };
  });
}

/** How long what ends by itself lasts (ms), the longest of them; 0: none does. Pure. */
export function longest(faults: readonly Fault[]): number {
  return Math.max(0, ...faults.map((fault) => fault.lastsMs ?? 0));
}

/** Makes the node promise to undo everything by itself after `drill.healAfterMs`. To be done before `inject`. */
export async function arm(fleet: Fleet, { node, undo }: Armed): Promise<void> {
  const after = String(fleet.environment.drill.healAfterMs);
  await runScript(node, 'guard.sh', ['arm', after, ...chain(undo)], { timeoutMs: scriptTimeoutMs });
}

/** What makes the fault quick, on every node that it may hit. */
export async function prepare(fleet: Fleet, steps: readonly Step[]): Promise<void> {
  const calls = steps.flatMap((step) => {
    const call = step.prepare;
    return call === undefined ? [] : step.nodes.map((name) => ({ name, call }));
  });
  await Promise.all(
    calls.map(({ name, call }) =>
      runScript(nodeAt(fleet, nodeNamed(fleet.environment, name).address), call.script, call.args, {
        timeoutMs: scriptTimeoutMs,
      }),
    ),
  );
}

/** Breaks it. The node says "now" right before, and half a round trip later we hear it. */
export async function inject(node: FleetNode, { inject: call, lastsMs }: Fault): Promise<Injection> {
  const roundTripMs = await roundTrip(node);
  const toldAt = nowMs();
  let heardAt: number | undefined;
  let lines = '';
  const { script, args } = call;
  const printed = await new Promise<string>((resolve, reject) => {
    const onLine = (line: string): void => {
      if (line.startsWith('now ')) heardAt ??= nowMs();
      lines += `${line}\n`;
      // The end of its answer may be lost in the silence.
      if (lastsMs !== undefined && line.startsWith('done ')) resolve(lines);
    };
    runScript(node, script, args, { timeoutMs: scriptTimeoutMs, onLine }).then(resolve, reject);
  });
  if (heardAt === undefined)
    throw new FiredrillError({ code: 'bug', node: node.name, what: `${script} did not say when: ${printed}` });
  return {
    toldAt,
    faultAt: Math.max(toldAt, heardAt - roundTripMs / 2),
    uncertaintyMs: roundTripMs / 2 + carriedOutMs(printed),
    by: /^by (.+)$/m.exec(printed)?.[1],
  };
}

/** Breaks all of them at the same time, or nothing, now; the fault took effect when the first did, and the last is part of the uncertainty. */
export async function injectAll(targets: readonly { node: FleetNode; fault: Fault }[]): Promise<Injection> {
  const now = nowMs();
  if (targets.length === 0) return { toldAt: now, faultAt: now, uncertaintyMs: 0, by: undefined };
  const all = await Promise.all(targets.map(({ node, fault }) => inject(node, fault)));
  const first = Math.min(...all.map((each) => each.faultAt));
  return {
    toldAt: Math.min(...all.map((each) => each.toldAt)),
    faultAt: first,
    uncertaintyMs: Math.max(...all.map((each) => each.faultAt - first + each.uncertaintyMs)),
    by: all.find((each) => each.by !== undefined)?.by,
  };
}

/**
 * Boots what was powered off, waits for what comes back by itself, undoes everything now and takes the node's promise back. Safe to
 * repeat.
 */
export async function heal(fleet: Fleet, { node, undo, powersOff, reboots, lastsMs }: Armed): Promise<void> {
  const fire = (timeoutMs = 60_000) => runScript(node, 'guard.sh', ['fire', ...chain(undo)], { timeoutMs });
  if (powersOff || reboots) {
    const timeoutMs = fleet.environment.linode.bootTimeoutMs;
    const up = async () => {
      if (powersOff) await fleet.boot(node);
      return await fire();
    };
    await until(up, { timeoutMs, intervalMs: 500, what: `${node.name} to be up again` });
  } else if (lastsMs > 0) {
    const timeoutMs = lastsMs + reachableAgainMs;
    await until(() => fire(tryMs), { timeoutMs, intervalMs: 500, what: `${node.name} to be reachable again` });
  } else await fire();
}

/** Keeps a promise that a killed drill left on this node. True when there was one. For the holder of the lease only. */
export async function settle(node: FleetNode): Promise<boolean> {
  return (await runScript(node, 'guard.sh', ['settle'], { timeoutMs: 60_000 })).includes('settled');
}

/** Between the script's two lines, by the node's own clock. Pure. */
export function carriedOutMs(printed: string): number {
  const at = (word: string) => new RegExp(`^${word} (\\d+)$`, 'm').exec(printed)?.[1];
  const [now, done] = [at('now'), at('done')];
  if (now === undefined || done === undefined) return 0;
  return Math.max(0, Number(BigInt(done) - BigInt(now)) / 1e6);
}

function words({ script, args }: ScriptCall): string[] {
  return [script, ...args];
}

/** As guard.sh takes them: one call, `then`, the next. */
function chain(calls: readonly ScriptCall[]): string[] {
  return calls.flatMap((call, index) => (index === 0 ? words(call) : ['then', ...words(call)]));
}

/** The shortest of five refused tunnels: port 9 (discard) is closed, so it is one round trip and nobody's work. */
async function roundTrip(node: FleetNode): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < 5; count += 1) {
    const startedAt = nowMs();
    await node.ssh.forward('127.0.0.1', 9, 5000).then(
      (stream) => stream.destroy(),
      () => {},
    );
    times.push(nowMs() - startedAt);
  }
  return Math.min(...times);
}
