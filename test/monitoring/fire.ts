/** Inside a sandbox: breaks the fleet in one way after the other, and prints when which alert fired, as JSON lines. */
import { once } from 'node:events';
import { closeSync, fsyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { stopAll, waitFor } from '../sandbox/inside.ts';
import { ask, firing, receiveAlerts, until } from './alerts.ts';
import { leaveDrill, type MonitoredFleet, placeRules, sentinelSettings, startApp, startFleet } from './fleet.ts';

interface Fault {
  readonly name: string;
  readonly inject: (fleet: MonitoredFleet) => Promise<unknown>;
  /** Alert to the node it concerns, '' for none. */
  readonly alerts: readonly (readonly [alert: string, node: string])[];
  /** Nobody gets them. */
  readonly untold?: true;
  readonly heal: (fleet: MonitoredFleet) => Promise<unknown>;
}

const signal = async (fleet: MonitoredFleet, name: string, what: NodeJS.Signals) => {
  fleet.programs.get(name)?.signal(what);
  if (what === 'SIGKILL') await fleet.programs.get(name)?.ended;
};
const close = async (fleet: MonitoredFleet, name: string) => {
  const server = fleet.apps.get(name)?.server;
  server?.closeAllConnections();
  server?.close();
};
const open = async (fleet: MonitoredFleet, name: string) => {
  const node = fleet.environment.nodes.find((each) => each.name === name);
  fleet.apps.set(name, await startApp(node?.address ?? '', fleet.environment.app.port));
};

/** In an hour, so that no drill is overdue by itself. */
const drilled = () => leaveDrill({ endedAtS: Date.now() / 1000 + 3600, ok: true });

/** What a Sentinel was set up with, at another address. */
async function monitorInstead(fleet: MonitoredFleet, address: string): Promise<void> {
  const { masterName, quorum } = fleet.environment.sentinel;
  await fleet.redis('sentinel-3', 'SENTINEL', 'REMOVE', masterName);
  const { port } = fleet.environment.redis;
  await fleet.redis('sentinel-3', 'SENTINEL', 'MONITOR', masterName, address, String(port), String(quorum));
  await fleet.redis('sentinel-3', 'SENTINEL', 'SET', masterName, 'auth-pass', 'redis-password');
  await sentinelSettings(fleet);
}

/** Writes to a disk (the root here is in memory) until the function that it gives is called. */
function keepDiskBusy(): () => void {
  const path = `/var/tmp/firedrill-busy-disk-${process.pid}`;
  const file = openSync(path, 'w');
  rmSync(path);
  const writing = setInterval(() => {
    writeSync(file, Buffer.alloc(65_536), 0, 65_536, 0);
    fsyncSync(file);
  }, 5);
  return () => {
    clearInterval(writing);
    closeSync(file);
  };
}
let calmDisk = () => {};

const { arrived, calls, refuse } = await receiveAlerts();

const faults: readonly Fault[] = [
  {
    name: 'the link of a replica is down',
    inject: async (fleet) => {
      await fleet.redis('redis-3', 'CONFIG', 'SET', 'masterauth', 'wrong');
      await fleet.redis('redis-3', 'CLIENT', 'KILL', 'TYPE', 'master');
    },
    alerts: [
      ['ReplicaLinkDown', 'redis-3'],
      ['ReplicaMissing', 'redis-1'],
    ],
    heal: (fleet) => fleet.redis('redis-3', 'CONFIG', 'SET', 'masterauth', 'redis-password'),
  },
  {
    name: 'a replica hangs',
    inject: (fleet) => signal(fleet, 'redis-3', 'SIGSTOP'),
    alerts: [
      ['RedisDown', 'redis-3'],
      ['ReplicationLag', 'redis-1'],
    ],
    heal: (fleet) => signal(fleet, 'redis-3', 'SIGCONT'),
  },
  {
    name: 'a second primary',
    inject: (fleet) => fleet.redis('redis-2', 'REPLICAOF', 'NO', 'ONE'),
    alerts: [['TwoPrimaries', '']],
    heal: (fleet) => fleet.redis('redis-2', 'REPLICAOF', '198.18.0.11', String(fleet.environment.redis.port)),
  },
  {
    name: 'the service can acknowledge nothing',
    inject: async (fleet) => {
      const app = fleet.apps.get('app-1');
      if (app !== undefined) app.metrics = 'sessiond_ready 0\n';
    },
    alerts: [['WritesBlocked', 'app-1']],
    heal: async (fleet) => {
      const app = fleet.apps.get('app-1');
      if (app !== undefined) app.metrics = 'sessiond_ready 1\n';
    },
  },
  {
    name: 'one app down',
    inject: (fleet) => close(fleet, 'app-1'),
    alerts: [
      ['BackendDown', 'lb-1'],
      ['TargetDown', 'app-1'],
    ],
    heal: (fleet) => open(fleet, 'app-1'),
  },
  {
    name: 'all apps down',
    inject: async (fleet) => {
      await close(fleet, 'app-1');
      await close(fleet, 'app-2');
    },
    alerts: [
      ['NoBackend', 'lb-1'],
      ['LoadBalancerDown', 'lb-1'],
    ],
    heal: async (fleet) => {
      await open(fleet, 'app-1');
      await open(fleet, 'app-2');
    },
  },
  {
    name: 'a machine gives no metrics',
    inject: (fleet) => signal(fleet, 'node-exporter app-2', 'SIGKILL'),
    alerts: [['MachineDown', 'app-2']],
    heal: (fleet) => fleet.start('node-exporter app-2'),
  },
  {
    name: 'a Sentinel dies',
    inject: (fleet) => signal(fleet, 'sentinel-3', 'SIGKILL'),
    alerts: [
      ['SentinelDown', 'sentinel-3'],
      ['QuorumAtRisk', ''],
    ],
    heal: (fleet) => fleet.start('sentinel-3'),
  },
  {
    name: 'a Sentinel has forgotten another one',
    inject: async (fleet) => {
      await signal(fleet, 'sentinel-3', 'SIGKILL');
      await fleet.redis('sentinel-1', 'SENTINEL', 'RESET', fleet.environment.sentinel.masterName);
    },
    alerts: [['SentinelCountWrong', 'sentinel-1']],
    heal: (fleet) => fleet.start('sentinel-3'),
  },
  {
    // Before any failover: with a higher epoch the others would put it right at once.
    name: 'a Sentinel names another primary',
    inject: (fleet) => monitorInstead(fleet, '198.18.0.12'),
    alerts: [['SentinelsDisagree', '']],
    heal: (fleet) => monitorInstead(fleet, '198.18.0.11'),
  },
  {
    name: 'the last drill was long ago and red, and who is told of alerts refuses them',
    inject: async () => {
      refuse(true);
      leaveDrill({ endedAtS: Date.now() / 1000 - 60, ok: false });
    },
    alerts: [
      ['DrillFailed', 'monitor-1'],
      ['DrillOverdue', ''],
      ['AlertsNotDelivered', 'monitor-1'],
    ],
    untold: true,
    heal: async () => {
      refuse(false);
      drilled();
    },
  },
  {
    name: 'no drill ever ran',
    inject: async () => leaveDrill(),
    alerts: [['DrillNeverRan', '']],
    heal: async () => drilled(),
  },
  {
    name: 'two Sentinels and the primary die',
    inject: async (fleet) => {
      for (const name of ['sentinel-2', 'sentinel-3', 'redis-1']) await signal(fleet, name, 'SIGKILL');
    },
    alerts: [
      ['RedisPrimaryDown', ''],
      ['RedisDown', 'redis-1'],
      ['NoQuorum', ''],
      ['SentinelSeesPrimaryDown', 'sentinel-1'],
    ],
    heal: async (fleet) => {
      for (const name of ['redis-1', 'sentinel-2', 'sentinel-3']) await fleet.start(name);
      await sentinelSettings(fleet);
    },
  },
  {
    name: 'the primary dies',
    inject: (fleet) => signal(fleet, 'redis-1', 'SIGKILL'),
    alerts: [['FailoverHappened', 'redis-2 or redis-3']],
    heal: (fleet) => fleet.start('redis-1'),
  },
  // The last: when Prometheus has read its files again it knows no Alertmanager for 5 s, and tells what fires meanwhile a minute later.
  {
    name: 'every machine is short of everything (by limits that any machine is over)',
    inject: async (fleet) => {
      calmDisk = keepDiskBusy();
      const limits = {
        cpuPercent: 0.1,
        memoryFreePercent: 100,
        diskFreePercent: 100,
        diskBusyPercent: 0.1,
        machineForMs: 7000,
      };
      placeRules(fleet.environment, limits);
      await signal(fleet, 'prometheus', 'SIGHUP');
    },
    alerts: [
      ['HighCpu', 'app-1'],
      ['LowMemory', 'app-1'],
      ['LowDisk', 'app-1'],
      ['BusyDisk', 'app-1'],
    ],
    heal: async (fleet) => {
      calmDisk();
      placeRules(fleet.environment, {});
      await signal(fleet, 'prometheus', 'SIGHUP');
    },
  },
];

drilled();
const fleet = await startFleet();
const { environment } = fleet;

/** Nothing fires, all targets answer, and both replicas follow. */
async function calm(): Promise<void> {
  let last = '';
  const quiet = async () => {
    const all = (await firing(environment)).filter(({ name }) => name !== 'FailoverHappened');
    const linked = await fleet.redis('redis-1', 'INFO', 'replication');
    last = JSON.stringify(all);
    return all.length === 0 && (/connected_slaves:2/.test(linked) || /role:slave/.test(linked));
  };
  await waitFor(90_000, 'calm', quiet, 200).catch((error: unknown) => {
    throw new Error(`not calm: ${last}`, { cause: error });
  });
}

await waitFor(60_000, 'every target', async () => {
  const { data } = (await ask(environment, 'targets?state=active')) as {
    data: { activeTargets: { health: string; scrapeUrl: string; lastError: string }[] };
  };
  const bad = data.activeTargets.filter((target) => target.health !== 'up');
  if (bad.length > 0) throw new Error(bad.map((target) => `${target.scrapeUrl}: ${target.lastError}`).join(', '));
  return data.activeTargets.length > 20;
});
await calm();
// Prometheus sends again after a minute what it sent before it knew Alertmanager.
await waitFor(90_000, 'the first call of the watchdog', async () => calls.length > 0);
const calledBefore = calls.length;
await sleep(10_000); // a false alarm would come now
const told = [...arrived.keys()];
console.log(JSON.stringify({ calm: await firing(environment), told, watchdogCalls: calls.length - calledBefore }));
const names = (await ask(environment, 'label/__name__/values')) as { data: string[] };
console.log(JSON.stringify({ metrics: names.data }));

for (const fault of faults) {
  const since = performance.now();
  await fault.inject(fleet);
  const times = await Promise.all(
    fault.alerts.map(async ([name, node]) => {
      const nodes = node.split(' or ');
      const firedMs = await Promise.any(nodes.map((each) => until(environment, { name, node: each }, since)));
      const keys = nodes.map((each) => `${name} ${each}`);
      const delivered = () => keys.map((key) => arrived.get(key)).find((time) => time !== undefined && time > since);
      const told = async () => fault.untold === true || delivered() !== undefined;
      await waitFor(20_000, `${name} to be delivered`, told).catch(() => undefined);
      const at = delivered();
      return {
        alert: name,
        firedMs: Math.round(firedMs),
        deliveredMs: at === undefined ? null : Math.round(at - since),
      };
    }),
  );
  await fault.heal(fleet);
  await calm();
  console.log(JSON.stringify({ fault: fault.name, alerts: times }));
  arrived.clear();
}
await signal(fleet, 'prometheus-alertmanager', 'SIGKILL');
const calledTo = calls.length;
await sleep(3 * environment.monitor.watchdogMs);
console.log(JSON.stringify({ watchdogCallsWithoutAlertmanager: calls.length - calledTo }));
await stopAll();
for (const { server } of fleet.apps.values()) if (server.listening) await once(server.close(), 'close').catch(() => {});
process.exit(0); // keep-alive connections would hold it up
