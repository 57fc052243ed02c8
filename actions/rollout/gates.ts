import { sleep } from '../core/deadline.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Picture } from './settled.ts';

interface GateOptions {
  readonly environment: Environment;
  readonly node: EnvironmentNode;
  readonly phase: string;
  /** A new picture of the fleet. */
  readonly look: () => Promise<Picture>;
  /** Undefined when all is well. */
  readonly trouble: (picture: Picture) => string | undefined;
  readonly successes: number;
}

/**
 * Passes when `successes` pictures in a row show no trouble; any trouble starts the count again. Gives the number of probes. Throws a
 * FiredrillError (`gate`) with the last trouble when rollout.gateTimeoutMs have passed.
 */
export async function gate(options: GateOptions): Promise<number> {
  const { gateIntervalMs, gateTimeoutMs } = options.environment.rollout;
  const deadline = performance.now() + gateTimeoutMs;
  let good = 0;
  let flaps = 0;
  for (let probes = 1; ; probes += 1) {
    const trouble = await probe(options);
    if (trouble === undefined) good += 1;
    else if (good > 0) flaps += 1;
    if (trouble !== undefined) good = 0;
    if (good >= options.successes) return probes;
    if (performance.now() > deadline) throw failed(options, trouble, flaps, gateTimeoutMs);
    await sleep(gateIntervalMs);
  }
}

async function probe(options: GateOptions): Promise<string | undefined> {
  try {
    return options.trouble(await options.look());
  } catch (error) {
    return messageOf(error);
  }
}

function failed(options: GateOptions, trouble: string | undefined, flaps: number, timeoutMs: number): FiredrillError {
  const flapped = flaps === 0 ? '' : `; it was well and lost it again ${flaps} times`;
  return new FiredrillError({
    code: 'gate',
    node: options.node.name,
    phase: options.phase,
    what: `not reached in ${timeoutMs} ms: ${trouble ?? 'not often enough in a row'}${flapped}`,
  });
}
