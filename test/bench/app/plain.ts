import { run } from '../../sandbox/inside.ts';
import { readCpu, usedNs } from './cpu.ts';
import { loadCpu, pinned } from './programs.ts';

/** The body of every write, in bytes; the same in load.lua's argument and in webdis' URL. */
export const valueBytes = 64;

const writes = 200_000;
/** As many as the service has for writes when its file says nothing. */
const writeConnections = 4;

/** How often Redis has read from its clients so far. */
export async function redisReads(port: number): Promise<number> {
  const info = await run('redis-cli', ['-p', String(port), 'info', 'stats'], 5000);
  return Number(/^total_reads_processed:(\d+)/m.exec(info)?.[1] ?? Number.NaN);
}

/** Commands that Redis finds in one read when `reads` bring `requests`: at least 1, whole. */
export function pipelineOf(requests: number, reads: number): number {
  return Math.max(1, Math.round(requests / reads));
}

interface Benched {
  readonly port: number;
  readonly pid: number;
}

/**
 * Redis' time on its processor for one plain SET, in microseconds: the same value and time to live as the service's, `pipeline` in one
 * write, as the service's batches are. redis-benchmark is where wrk is otherwise, on the other processor.
 */
export async function measurePlainSet(redis: Benched, pipeline: number): Promise<number> {
  return await measurePlain(redis, pipeline, ['SET', 'plain', 'x'.repeat(valueBytes), 'EX', '3600'], writes);
}

/** The same for one of `keys` reads in an MGET, as the service's batches are: with no service beside Redis on its processor. */
export async function measurePlainGet(redis: Benched, keys: number): Promise<number> {
  const commands = Math.ceil(writes / keys);
  return (await measurePlain(redis, 1, ['MGET', ...Array<string>(keys).fill('plain')], commands)) / keys;
}

async function measurePlain(redis: Benched, pipeline: number, command: readonly string[], count: number) {
  const options = { '-p': redis.port, '-c': writeConnections, '-P': pipeline, '-n': count };
  const load = [...Object.entries(options).flat().map(String), '-q'];
  const [program, ...args] = pinned(loadCpu, ['redis-benchmark', ...load, ...command]);
  const before = readCpu();
  await run(program, args, 30_000);
  return usedNs(before, readCpu(), redis.pid) / 1e3 / count;
}
