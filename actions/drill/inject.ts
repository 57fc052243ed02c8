import { FiredrillError } from '../core/errors.ts';
import { nowMs } from './clock.ts';
import type { Fleet, FleetNode } from './fleet.ts';
import { runScript } from './node-script.ts';
import type { Scenario } from './scenarios/index.ts';

/** When the fault took effect, on the controller's monotonic clock, and how well that is known. */
export interface Injection {
  /** When the node was told: nothing that failed earlier is the fault's. */
  readonly toldAt: number;
  readonly faultAt: number;
  /** Half a round trip to the node, plus what the fault took to be carried out there (ms). */
  readonly uncertaintyMs: number;
}

const scriptTimeoutMs = 20_000;

/** Makes the node promise to undo the fault by itself after `drill.healAfterMs`. To be done before `inject`. */
export async function arm(fleet: Fleet, node: FleetNode, scenario: Scenario): Promise<void> {
  const { script, args } = scenario.undo;
  const after = String(fleet.environment.drill.healAfterMs);
  await runScript(node, 'guard.sh', ['arm', after, script, ...args], { timeoutMs: scriptTimeoutMs });
}

/** Breaks it. The node says "now" right before, and half a round trip later we hear it. */
export async function inject(node: FleetNode, scenario: Scenario): Promise<Injection> {
  const roundTripMs = await roundTrip(node);
  const toldAt = nowMs();
  let heardAt: number | undefined;
  const { script, args } = scenario.inject;
  const printed = await runScript(node, script, args, {
    timeoutMs: scriptTimeoutMs,
    onLine: (line) => {
      if (line.startsWith('now ')) heardAt ??= nowMs();
    },
  });
  if (heardAt === undefined)
    throw new FiredrillError({ code: 'bug', node: node.name, what: `${script} did not say when: ${printed}` });
  return {
    toldAt,
    faultAt: Math.max(toldAt, heardAt - roundTripMs / 2),
    uncertaintyMs: roundTripMs / 2 + carriedOutMs(printed),
  };
}

/** Undoes the fault now and takes the node's promise back. Safe to repeat. */
export async function heal(node: FleetNode, scenario: Scenario): Promise<void> {
  const { script, args } = scenario.undo;
  await runScript(node, 'guard.sh', ['fire', script, ...args], { timeoutMs: 60_000 });
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
