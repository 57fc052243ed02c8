import { type Load, measure } from './cell.ts';
import { type Deployment, emptied, type TargetName } from './deployment.ts';
import { measureIdle } from './idle.ts';
import { measurePlainGet, measurePlainSet, pipelineOf, redisReads } from './plain.ts';
import { masters, ports, serviceArgv, webdisArgv } from './programs.ts';

/** One round: every figure once. */
export interface Round {
  readonly loads: Readonly<Record<TargetName, Load>>;
  /** Redis' time for a plain SET, in microseconds, and how many came in one read: as many as in this round's `set`. */
  readonly plainSetUs: number;
  readonly pipeline: number;
  /** The same for a read, with as many in an MGET as came in one read of this round's `get`. */
  readonly plainGetUs: number;
  /** Bytes of an idle connection. */
  readonly idle: number;
  readonly idleWebdis: number;
}

/** Every figure is next to the one that it is compared with, and every round has all, so that a busy minute is in both. */
export async function measureRound(deployment: Deployment, seconds: number): Promise<Round> {
  const load = async (name: TargetName): Promise<Load> => {
    await emptied(deployment, name);
    return await measure(deployment.targets[name], seconds);
  };
  const nginx = await load('nginx');
  const healthz = await load('healthz');
  const webdisGet = await load('webdisGet');
  const readsBeforeGet = await redisReads(deployment.redis.port);
  const get = await load('get');
  const keys = pipelineOf(get.requests, (await redisReads(deployment.redis.port)) - readsBeforeGet);
  const webdisSet = await load('webdisSet');
  const readsBefore = await redisReads(deployment.redis.port);
  const set = await load('set');
  const pipeline = pipelineOf(set.requests, (await redisReads(deployment.redis.port)) - readsBefore);
  const plainSetUs = await measurePlainSet(deployment.redis, pipeline);
  const plainGetUs = await measurePlainGet(deployment.redis, keys);
  const asyncSet = await load('asyncSet');
  const replicatedSet = await load('replicatedSet');
  const port = ports.scratch;
  return {
    loads: { nginx, healthz, webdisGet, get, webdisSet, set, asyncSet, replicatedSet },
    plainSetUs,
    plainGetUs,
    pipeline,
    idle: await measureIdle(serviceArgv(port, masters.alone, 'async'), port, '/healthz'),
    idleWebdis: await measureIdle(webdisArgv(port + 1), port + 1, '/PING'),
  };
}

/** Where other work took more than a tenth of a processor: these rounds' figures are not to be trusted. */
export function noisy(rounds: readonly Round[]): string[] {
  return rounds.flatMap((round, index) =>
    Object.entries(round.loads)
      .filter(([, load]) => load.othersShare > quietShare)
      .map(([name, load]) => `round ${index + 1} ${name}: ${load.othersShare.toFixed(2)}`),
  );
}

const quietShare = 0.1;
