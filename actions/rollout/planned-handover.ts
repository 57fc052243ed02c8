import type { Redis } from 'ioredis';
import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { openRedis, unlessClosed } from '../core/redis.ts';
import type { NodeFacts } from './facts.ts';
import type { Fleet, Member } from './fleet.ts';
import { type Caller, type Handover, type HandoverNode, handOver } from './handover.ts';
import type { FleetSecrets } from './variables.ts';

/** One command of a handover; shorter than the whole, so that a lost answer leaves time to undo. */
const commandTimeoutMs = 2000;

/** Opens what a handover needs, through ssh, hands over from `from`, and closes it again. */
export async function handOverFrom(
  from: string,
  environment: Environment,
  fleet: Fleet,
  facts: ReadonlyMap<string, NodeFacts>,
  secrets: FleetSecrets,
): Promise<Handover> {
  const opened: Redis[] = [];
  const open = (member: Member, port: number, password: FleetSecrets['redis']): Caller => {
    const client = openRedis({ ssh: member.ssh, host: member.node.address, port, password, commandTimeoutMs });
    opened.push(client);
    // The promotion closes the very connection that is asked whether it has happened.
    return { call: (command, ...words) => unlessClosed(client, (each) => each.call(command, ...words)) };
  };
  const redisOf = (member: Member): HandoverNode => ({
    name: member.node.name,
    address: member.node.address,
    redis: open(member, environment.redis.port, secrets.redis),
  });
  try {
    const primary = fleet.get(from);
    const online = facts.get(from)?.redis?.replicas.filter((replica) => replica.online) ?? [];
    const replicas = [...fleet.values()].filter((each) =>
      online.some((replica) => replica.address === each.node.address),
    );
    const watcher = [...fleet.values()].find((each) => facts.get(each.node.name)?.sentinel?.quorumOk === true);
    if (primary === undefined || replicas.length === 0 || watcher === undefined)
      throw new FiredrillError({
        code: 'gate',
        node: from,
        phase: 'handover',
        what: watcher === undefined ? 'no Sentinel can reach a quorum' : 'no replica is linked',
      });
    const options = {
      primary: redisOf(primary),
      replicas: replicas.map(redisOf),
      sentinel: open(watcher, environment.sentinel.port, secrets.sentinel),
      masterName: environment.sentinel.masterName,
      port: environment.redis.port,
      timeoutMs: environment.rollout.handoverTimeoutMs,
      pollMs: 5,
    };
    // Connected before anything is paused.
    await Promise.all([options.primary, ...options.replicas].map((each) => each.redis.call('PING')));
    await options.sentinel.call('PING');
    return await handOver(options);
  } finally {
    for (const client of opened) client.disconnect();
  }
}
