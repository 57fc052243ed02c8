import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { until } from '../../../actions/core/deadline.ts';
import { initialPrimary, nodesOf } from '../../../actions/core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../../../actions/core/environment/schema.ts';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { parseRedis } from '../../../actions/core/redis.ts';
import { type ExecResult, type Ssh, shellQuote } from '../../../actions/core/ssh.ts';
import { masterName, type ReferenceSettings, redisConf, redisPort, sentinelConf, sentinelPort } from './settings.ts';

/** The document's Redis and Sentinels on this lab's machines. */
export interface Reference {
  readonly primary: EnvironmentNode;
  readonly redis: readonly EnvironmentNode[];
  readonly sentinels: readonly EnvironmentNode[];
  readonly password: string;
  /** Runs node.sh there. Throws a FiredrillError (`remote`) when it fails. */
  call(node: EnvironmentNode, args: readonly string[], onLine?: (line: string) => void): Promise<ExecResult>;
  /** The address of the primary that the Sentinels tell; undefined when none answers. */
  announced(): Promise<string | undefined>;
  /** A connection of its own to the Redis at that address. The caller disconnects it. */
  open(address: string): Redis;
}

/** A deployment that nobody removes is gone after that. */
const endsAfterS = 240;
const readyTimeoutMs = 40_000;
const script = readFileSync(new URL('./node.sh', import.meta.url));

/** Starts it, and resolves when every Sentinel knows the replicas and the other Sentinels. */
export async function deployReference(
  environment: Environment,
  ssh: (node: EnvironmentNode) => Promise<Ssh>,
): Promise<Reference> {
  const [redis, sentinels] = [nodesOf(environment, 'redis'), nodesOf(environment, 'sentinel')];
  const primary = initialPrimary(environment);
  const settings: ReferenceSettings = { primary: primary.address, password: randomBytes(16).toString('hex') };
  const open = (address: string, port: number, password?: string): Redis => {
    const options = { lazyConnect: true, commandTimeout: 1500, connectTimeout: 1500, maxRetriesPerRequest: 0 };
    const client = new Redis(port, address, { ...options, ...(password === undefined ? {} : { password }) });
    client.on('error', () => {});
    return client;
  };
  const reference: Reference = {
    ...{ primary, redis, sentinels, password: settings.password },
    async call(node, args, onLine) {
      const command = `sudo -n sh -s -- ${args.map(shellQuote).join(' ')}`;
      const options = { stdin: script, timeoutMs: 20_000, ...(onLine === undefined ? {} : { onLine }) };
      const result = await (await ssh(node)).exec(command, options);
      if (result.code === 0) return result;
      throw new FiredrillError({ code: 'remote', node: node.name, where: `node.sh ${args[0]}`, what: result.stderr });
    },
    open: (address) => open(address, redisPort, settings.password),
    async announced() {
      for (const { address } of sentinels) {
        const client = open(address, sentinelPort);
        const told = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', masterName).catch(() => undefined);
        client.disconnect();
        if (Array.isArray(told)) return String(told[0]);
      }
      return undefined;
    },
  };
  await removeReference(reference);
  const start = (node: EnvironmentNode, kind: string, conf: string) =>
    reference.call(node, ['start', kind, String(endsAfterS), Buffer.from(conf).toString('base64')]);
  await Promise.all(redis.map((node) => start(node, 'redis', redisConf(node.address, settings))));
  await until(() => isReplicated(reference), {
    timeoutMs: readyTimeoutMs,
    intervalMs: 200,
    what: "the reference's replicas",
  });
  await Promise.all(sentinels.map((node) => start(node, 'sentinel', sentinelConf(settings))));
  const allKnow = async (): Promise<true | undefined> => {
    const known = await Promise.all(sentinels.map(({ address }) => knows(open(address, sentinelPort))));
    return known.every((each) => each.replicas === redis.length - 1 && each.others === sentinels.length - 1)
      ? true
      : undefined;
  };
  await until(allKnow, { timeoutMs: readyTimeoutMs, intervalMs: 300, what: "the reference's Sentinels" });
  return reference;
}

/** Nothing of it is left on any node. Safe to repeat. */
export async function removeReference({ redis, sentinels, call }: Reference): Promise<void> {
  const nodes = new Map([...redis, ...sentinels].map((node) => [node.name, node]));
  await Promise.all([...nodes.values()].map((node) => call(node, ['stop'])));
}

async function isReplicated({ open, primary, redis }: Reference): Promise<true | undefined> {
  const client = open(primary.address);
  try {
    const { replicas } = parseRedis(await client.info('replication'));
    return replicas.filter((each) => each.online).length === redis.length - 1 ? true : undefined;
  } finally {
    client.disconnect();
  }
}

async function knows(sentinel: Redis): Promise<{ readonly replicas: number; readonly others: number }> {
  try {
    const told = (await sentinel.call('SENTINEL', 'MASTER', masterName)) as string[];
    const field = (name: string): number => Number(told[told.indexOf(name) + 1]);
    return { replicas: field('num-slaves'), others: field('num-other-sentinels') };
  } finally {
    sentinel.disconnect();
  }
}
