import { type CpuReading, othersShare, readCpu, usedNs } from './cpu.ts';
import { wrk } from './wrk.ts';

/** What is loaded: where, and whose time on a processor counts. */
export interface Target {
  readonly url: string;
  /** Arguments of load.lua. */
  readonly request: readonly string[];
  /** The server: its processes. */
  readonly pids: readonly number[];
  /** Its Redis, on the same processor. Without it there is none. */
  readonly redisPid?: number;
}

/** One figure's load, measured. */
export interface Load {
  readonly requests: number;
  readonly requestsPerS: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Of the server, a request. */
  readonly cpuUs: number;
  /** Of Redis, a request; 0 without it. */
  readonly redisUs: number;
  /** Of wrk, a request. */
  readonly wrkUs: number;
  /** How much of its processor wrk used: at 1 it is the load that can't go faster. */
  readonly generatorShare: number;
  /** Work on the machine that is not ours, in processors. */
  readonly othersShare: number;
}

/** Loads the target for `seconds` and reads the counters around it. */
export async function measure(target: Target, seconds: number): Promise<Load> {
  const before = readCpu();
  const begun = performance.now();
  const result = await wrk(target.url, seconds, target.request);
  const wallNs = (performance.now() - begun) * 1e6;
  const after = readCpu();
  const redisNs = target.redisPid === undefined ? 0 : usedNs(before, after, target.redisPid);
  return {
    requests: result.requests,
    requestsPerS: result.requests / result.seconds,
    p50Us: result.p50Us,
    p99Us: result.p99Us,
    cpuUs: sumUsed(before, after, target.pids) / 1e3 / result.requests,
    redisUs: redisNs / 1e3 / result.requests,
    wrkUs: result.cpuNs / 1e3 / result.requests,
    generatorShare: result.cpuNs / (result.seconds * 1e9),
    othersShare: othersShare(before, after, result.cpuNs, wallNs),
  };
}

function sumUsed(before: CpuReading, after: CpuReading, pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + usedNs(before, after, pid), 0);
}
