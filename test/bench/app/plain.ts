import { run } from '../../sandbox/inside.ts';
import { readCpu, usedNs } from './cpu.ts';
import { pinned, serverCpu } from './programs.ts';

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

/**
 * Redis' time on its processor for one plain SET, in microseconds: the same value and time to live as the service's, `pipeline` in one
 * write, as the service's batches are. redis-benchmark is where the service is otherwise, on the other processor.
 */
export async function measurePlainSet(
  redis: { readonly port: number; readonly pid: number },
  pipeline: number,
): Promise<number> {
  const write = ['SET', 'plain', 'x'.repeat(valueBytes), 'EX', '3600'];
  const load = [
    '-p',
    String(redis.port),
    '-c',
    String(writeConnections),
    '-P',
    String(pipeline),
    '-n',
    String(writes),
    '-q',
  ];
  const [program, ...args] = pinned(serverCpu, ['redis-benchmark', ...load, ...write]);
  const before = readCpu();
  await run(program, args, 30_000);
  return usedNs(before, readCpu(), redis.pid) / 1e3 / writes;
}
