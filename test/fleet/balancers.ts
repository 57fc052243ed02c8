import { until } from '../../actions/core/deadline.ts';
import { request, runInside } from './lab-command.ts';

/** The load balancer that has the shared address, as `status` tells. Throws when that is not exactly one. */
export async function holder(): Promise<string> {
  const { output } = await runInside(['status']);
  const [first, ...others] = [...output.matchAll(/^(lb-\d) .* holds [\d.]+$/gm)].map((match) => match[1] ?? '');
  if (first === undefined || others.length > 0) throw new Error(`not one holder:\n${output}`);
  return first;
}

/** Does that to HAProxy where the address is, and waits until another one has it and answers. Gives how long nobody answered (ms). */
export async function afterFault(shared: string, signal: 'KILL' | 'STOP'): Promise<number> {
  const before = await holder();
  const { code, output } = await runInside(['ssh', before, `sudo pkill -${signal} -x haproxy`], 30_000);
  if (code !== 0) throw new Error(`${before}: ${output}`);
  const startedAt = performance.now();
  const answered = async () => (isAnswered(shared) ? performance.now() - startedAt : undefined);
  const outageMs = await until(answered, { timeoutMs: 10_000, intervalMs: 20, what: 'an answer' });
  const after = await until(async () => await holder(), { timeoutMs: 10_000, intervalMs: 200, what: 'one holder' });
  if (after === before) throw new Error(`the address stayed on ${before}`);
  return outageMs;
}

function isAnswered(shared: string): boolean {
  try {
    return request(`http://${shared}/healthz`, ['--max-time', '1']).status === 200;
  } catch {
    return false;
  }
}
