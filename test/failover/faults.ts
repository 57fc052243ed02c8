import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../sandbox/inside.ts';
import { askRedis, askSentinel, type Deployment, startApp, startAsReplica, startRedis } from './deployment.ts';
import { runNodeScript } from './node-scripts.ts';
import { type Durability, masterName, redisHosts, redisPort, sentinelHosts } from './settings.ts';

/** What a fault may need to break and to mend the deployment. */
export interface Scene {
  readonly deployment: Deployment;
  readonly program: string;
  readonly durability: Durability;
}

export interface Fault {
  readonly about: string;
  /** Sentinel promotes a replica. */
  readonly failover: boolean;
  /** Breaks something; resolves when all that this needs is done (a restart in place, say). */
  readonly inject: (scene: Scene) => Promise<void>;
  /** While the load still runs, some seconds after: what comes back by itself in real life. */
  readonly comeBack?: (scene: Scene) => Promise<void>;
  /** Without load: makes the deployment whole. `primary` is whom the others shall follow. */
  readonly heal?: (scene: Scene, primary: number) => Promise<void>;
  /** Until `inject` has resolved nothing that was sent after the fault may be acknowledged. */
  readonly silences?: true;
}

const kill =
  (index: number) =>
  async ({ deployment }: Scene) => {
    deployment.redis[index]?.signal('SIGKILL');
    await deployment.redis[index]?.ended;
  };
const restart =
  (index: number) =>
  async ({ deployment }: Scene, primary: number) => {
    deployment.redis[index] = await startAsReplica(index, primary);
  };
const stop =
  (...indices: number[]) =>
  async ({ deployment }: Scene) => {
    for (const index of indices) deployment.redis[index]?.signal('SIGSTOP');
  };
const resume =
  (...indices: number[]) =>
  async ({ deployment }: Scene) => {
    for (const index of indices) deployment.redis[index]?.signal('SIGCONT');
  };
const drop =
  (...rules: string[]) =>
  async () => {
    const chain = 'add table ip fault; add chain ip fault input { type filter hook input priority 0; }';
    await run('nft', [[chain, ...rules.map((rule) => `add rule ip fault input ${rule} drop`)].join('; ')]);
  };
const undrop = async () => void (await run('nft', ['delete table ip fault']));
/** A stale primary is demoted by Sentinel after some 8 s; the round does not wait for that. */
const follow = (index: number) => async (_: Scene, primary: number) => {
  await askRedis(index, 'REPLICAOF', redisHosts[primary] ?? '', String(redisPort));
};
const others = `{ ${[...redisHosts.slice(1), ...sentinelHosts].join(', ')} }`;

export const faults = {
  kill: { about: 'kill -9 of the primary', failover: true, inject: kill(0), heal: restart(0) },
  hang: {
    about: 'SIGSTOP of the primary; it comes back while the load runs',
    failover: true,
    inject: stop(0),
    comeBack: resume(0),
    heal: follow(0),
  },
  planned: {
    about: "the rollout's planned handover",
    failover: true,
    inject: async () => void (await runNodeScript(0, 'handover', 'now')),
  },
  stop: {
    about: 'an orderly stop of the primary, which stays down',
    failover: true,
    inject: async ({ deployment }: Scene) => {
      await runNodeScript(0, 'handover', 'stop');
      deployment.redis[0]?.signal('SIGTERM');
      await deployment.redis[0]?.ended;
    },
    heal: restart(0),
  },
  bare: {
    about: 'SENTINEL FAILOVER and nothing else',
    failover: true,
    inject: async () => void (await askSentinel(sentinelHosts[0], 'SENTINEL', 'FAILOVER', masterName)),
    heal: follow(0),
  },
  vanish: {
    about: 'all packets to and from the primary are dropped',
    failover: true,
    inject: drop(`ip daddr ${redisHosts[0]}`, `ip saddr ${redisHosts[0]}`),
    comeBack: undrop,
    heal: follow(0),
  },
  partition: {
    about: 'the primary is cut off from replicas and Sentinels, sessiond still reaches it',
    failover: true,
    inject: drop(`ip saddr ${redisHosts[0]} ip daddr ${others}`, `ip daddr ${redisHosts[0]} ip saddr ${others}`),
    comeBack: undrop,
    heal: follow(0),
  },
  restart: {
    about: 'kill -9 of the primary, started again 100 ms later',
    failover: false,
    inject: async (scene: Scene) => {
      await kill(0)(scene);
      await sleep(100);
      scene.deployment.redis[0] = await startRedis(0);
    },
  },
  'replica-kill': { about: 'kill -9 of a replica', failover: false, inject: kill(1), heal: restart(1) },
  'replica-stop': {
    about: 'a replica is stopped in order',
    failover: false,
    inject: async ({ deployment }: Scene) => {
      await runNodeScript(1, 'handover', 'stop');
      deployment.redis[1]?.signal('SIGTERM');
      await deployment.redis[1]?.ended;
    },
    heal: restart(1),
  },
  'replica-hang': { about: 'SIGSTOP of a replica', failover: false, inject: stop(1), comeBack: resume(1) },
  'replica-vanish': {
    about: 'all packets to and from a replica are dropped for 8 s',
    failover: false,
    inject: async () => {
      await drop(`ip daddr ${redisHosts[1]}`, `ip saddr ${redisHosts[1]}`)();
      await sleep(8000);
      await undrop();
    },
  },
  'replica-hang-kill': {
    about: 'SIGSTOP of a replica, and kill -9 of the primary while writes go on without it; it is back 2.5 s later',
    failover: true,
    inject: async (scene: Scene) => {
      await stop(1)(scene);
      await sleep(700);
      await kill(0)(scene);
      await sleep(2500);
      await resume(1)(scene);
    },
    heal: restart(0),
  },
  'replica-blink-kill': {
    about:
      'SIGSTOP of a replica, kill -9 of the primary while writes go on without it, and it is back before the failover',
    failover: true,
    inject: async (scene: Scene) => {
      await stop(1)(scene);
      await sleep(700);
      await kill(0)(scene);
      await sleep(100);
      await resume(1)(scene);
    },
    heal: restart(0),
  },
  alone: {
    about: 'both replicas stopped for 2 s',
    failover: false,
    silences: true,
    inject: async (scene: Scene) => {
      await stop(1, 2)(scene);
      await sleep(2000);
      await resume(1, 2)(scene);
    },
  },
  'sessiond-kill': {
    about: 'kill -9 of one sessiond',
    failover: false,
    inject: async ({ deployment }: Scene) => deployment.apps[0]?.signal('SIGKILL'),
    heal: async ({ deployment, program, durability }: Scene) => {
      deployment.apps[0] = await startApp(0, program, durability);
    },
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

export function isFault(name: string): name is FaultName {
  return Object.hasOwn(faults, name);
}
