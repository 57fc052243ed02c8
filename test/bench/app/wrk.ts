import { run } from '../../sandbox/inside.ts';
import { loadCpu, pinned } from './programs.ts';

/** What wrk counted in one run. */
export interface WrkResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Time on a processor. */
  readonly cpuNs: number;
}

export const connections = 64;

/** Loads `url` for `seconds` over 64 connections; `request` goes to load.lua. Rejects when any request failed. */
export async function wrk(url: string, seconds: number, request: readonly string[]): Promise<WrkResult> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', '/bench/load.lua', url, '--', ...request];
  // `times` prints the shell's own times on one line and those of its children on the next.
  const argv = pinned(loadCpu, ['sh', '-c', 'wrk "$@" && times', 'wrk', ...args]);
  return parseWrk(await run(argv[0], argv.slice(1), seconds * 1000 + 15_000), url);
}

/** The result in what load.lua and the shell's `times` printed. Throws when there is none, or when requests failed. */
export function parseWrk(output: string, url: string): WrkResult {
  const line = /^result (\{.*\})$/m.exec(output)?.[1];
  const times = /^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$/m.exec(output.trimEnd().split('\n').at(-1) ?? '');
  if (line === undefined || times === null) throw new Error(`wrk ${url} gave no result:\n${output}`);
  const { us, failed, ...result } = JSON.parse(line) as Record<
    'requests' | 'us' | 'p50Us' | 'p99Us' | 'failed',
    number
  >;
  if (failed > 0 || result.requests === 0)
    throw new Error(`wrk ${url}: ${failed} of ${result.requests} requests failed; what is measured so says nothing`);
  const [userMin, userS, systemMin, systemS] = times.slice(1).map(Number) as [number, number, number, number];
  const cpuS = userMin * 60 + userS + systemMin * 60 + systemS;
  return { ...result, seconds: us / 1e6, cpuNs: cpuS * 1e9 };
}
