import type { FleetNode } from './fleet.ts';

/**
 * Milliseconds of the machine's monotonic clock. The same in every thread and process of the machine, unlike performance.now(), so
 * the probe's figures, Sentinel's events and the injection can be compared.
 */
export function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const anchor = { mono: nowMs(), wall: Date.now() };

/** A monotonic time as ISO 8601, by one anchor for the whole run: a clock that is set meanwhile moves no figure. */
export function isoTime(monoMs: number): string {
  return new Date(wallMs(monoMs)).toISOString();
}

/** The same as ms since 1970. */
export function wallMs(monoMs: number): number {
  return anchor.wall + (monoMs - anchor.mono);
}

/** How far a node's clock is from the controller's. No figure counts on it: all are taken on the controller. Logs are compared by it. */
export interface ClockOffset {
  readonly node: string;
  /** The node's minus the controller's. */
  readonly offsetMs: number;
  /** Half a round trip: the offset is known no better. */
  readonly errorMs: number;
}

/** Of each node that answers, by the quickest of some questions. */
export async function measureClocks(nodes: readonly FleetNode[]): Promise<ClockOffset[]> {
  const measured = await Promise.all(nodes.map((node) => offsetOf(node).catch(() => undefined)));
  return measured.filter((offset) => offset !== undefined);
}

async function offsetOf(node: FleetNode): Promise<ClockOffset> {
  let best: ClockOffset | undefined;
  for (let count = 0; count < 5; count += 1) {
    const askedAt = nowMs();
    const { stdout } = await node.ssh.exec('date +%s%N', { timeoutMs: 5000 });
    const answeredAt = nowMs();
    const errorMs = (answeredAt - askedAt) / 2;
    const offsetMs = Number(BigInt(stdout.trim()) / 1000n) / 1000 - wallMs(askedAt + errorMs);
    if (best === undefined || errorMs < best.errorMs) best = { node: node.name, offsetMs, errorMs };
  }
  return best as ClockOffset;
}
