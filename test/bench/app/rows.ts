import { type Comparison, rowOf, type ShownRow } from '../report.ts';
import { medianOf } from '../statistics.ts';
import type { Sizes } from './build.ts';
import type { Load } from './cell.ts';
import type { TargetName } from './deployment.ts';
import type { Round } from './rounds.ts';
import type { Starts } from './starts.ts';

/** All that a run measured. */
export interface Measured {
  readonly rounds: readonly Round[];
  readonly starts: Starts;
  readonly sizes: Sizes;
}

/** From here on the load's processor has nothing left to give. */
const saturated = 0.97;

/** The benchmark's rows: medians of the rounds, the ratio of medians, and the goals that the service has. */
export function rowsOf({ rounds, starts, sizes }: Measured): ShownRow[] {
  const of = (name: TargetName, value: (load: Load) => number): number =>
    medianOf(rounds, (round) => value(round.loads[name]));
  const us = (name: TargetName): number => of(name, (load) => load.cpuUs);
  const rate = (name: TargetName): number => of(name, (load) => load.requestsPerS);

  /** GET or SET beside webdis' and nginx' constant answer. */
  const pair = (label: string, ours: TargetName, webdis: TargetName): Comparison[] => {
    const busy = of(ours, (load) => load.generatorShare);
    const beside = (metric: string, unit: string, value: (load: Load) => number) => ({
      metric: `${label} ${metric}`,
      unit,
      ours: of(ours, value),
      peer: 'webdis',
      peerValue: of(webdis, value),
    });
    const cpu = beside('CPU a request', 'us', (load) => load.cpuUs);
    return [
      { ...cpu, atMost: 0.65 },
      { ...cpu, peer: 'nginx', peerValue: us('nginx'), atMost: 1.3, note: 'the aim is 1.1' },
      {
        ...beside('rate', 'requests/s', (load) => load.requestsPerS),
        atLeast: 1.4,
        orElse: busy >= saturated,
        note:
          `wrk takes ${of(ours, (load) => load.wrkUs).toFixed(2)} us a request, its processor is ${percent(busy)} busy` +
          `${busy >= saturated ? ': the cap' : ''}; Redis takes ${of(ours, (load) => load.redisUs).toFixed(2)} us`,
      },
      { ...beside('p50', 'us', (load) => load.p50Us), atMost: 0.65 },
      {
        ...beside('p99', 'us', (load) => load.p99Us),
        atMost: 1,
        note: `${of('nginx', (load) => load.p99Us)} us for nginx' constant answer`,
      },
    ];
  };
  const redisGet = of('get', (load) => load.redisUs);
  const redisSet = of('set', (load) => load.redisUs);
  const plainSet = medianOf(rounds, (round) => round.plainSetUs);
  const pipelines = medianOf(rounds, (round) => round.pipeline);
  const idle = medianOf(rounds, (round) => round.idle);
  const start = { metric: 'start to listening', unit: 'ms', ours: starts.ours };
  const comparisons: Comparison[] = [
    ...pair('GET', 'get', 'webdisGet'),
    ...pair('SET', 'set', 'webdisSet'),
    {
      metric: '/healthz rate',
      unit: 'requests/s',
      ours: rate('healthz'),
      peer: 'nginx',
      peerValue: rate('nginx'),
      atLeast: 0.9,
    },
    { metric: '/healthz CPU a request', unit: 'us', ours: us('healthz'), peer: 'nginx', peerValue: us('nginx') },
    {
      metric: "GET rate, of the generator's cap",
      unit: 'requests/s',
      ours: rate('get'),
      peer: 'nginx',
      peerValue: rate('nginx'),
      note: 'with no Redis behind it',
    },
    { metric: 'Redis CPU a GET', unit: 'us', ours: redisGet, peer: 'budget', peerValue: 2, atMost: 1 },
    {
      metric: 'Redis CPU a GET',
      unit: 'us',
      ours: redisGet,
      peer: 'MGET alone',
      peerValue: medianOf(rounds, (round) => round.plainGetUs),
      note: 'redis-benchmark, as many keys in a command as the service has',
    },
    {
      metric: 'Redis CPU a SET, with the guard',
      unit: 'us',
      ours: redisSet,
      peer: 'plain SET',
      peerValue: plainSet,
      note: `redis-benchmark, 4 connections, ${pipelines} in a pipeline as the service has; to drop the request ids later is not in it`,
    },
    {
      metric: 'SET rate that it could have, without the guard',
      unit: 'requests/s',
      ours: 1e6 / (us('set') + plainSet),
      peer: 'webdis',
      peerValue: rate('webdisSet'),
      note: "reckoned: one processor for the service's time and a plain SET's",
    },
    {
      metric: 'replicated SET rate',
      unit: 'requests/s',
      ours: rate('replicatedSet'),
      peer: 'async',
      peerValue: rate('asyncSet'),
      atLeast: 0.6,
      note: 'both with two replicas',
    },
    { metric: 'idle connection', unit: 'bytes', ours: idle, peer: 'budget', peerValue: 1000, atMost: 1 },
    {
      metric: 'idle connection',
      unit: 'bytes',
      ours: idle,
      peer: 'webdis',
      peerValue: medianOf(rounds, (round) => round.idleWebdis),
    },
    { ...start, peer: 'budget', peerValue: 5, atMost: 1 },
    { ...start, peer: 'webdis', peerValue: starts.webdis },
    { ...start, peer: 'nginx', peerValue: starts.nginx },
    {
      metric: 'binary, stripped',
      unit: 'bytes',
      ours: sizes.binaryBytes,
      peer: 'budget',
      peerValue: 200_000,
      atMost: 1,
    },
    { metric: 'own code, .c files', unit: 'lines', ours: sizes.codeLines, peer: 'budget', peerValue: 2500, atMost: 1 },
    { metric: 'own code, headers', unit: 'lines', ours: sizes.headerLines },
  ];
  return comparisons.map(rowOf);
}

function percent(share: number): string {
  return `${(Math.min(1, share) * 100).toFixed(0)} %`;
}
