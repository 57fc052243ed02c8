import { linodeApi } from '../../../actions/core/linode/api.ts';
import { plainLog } from '../../../actions/core/log.ts';
import { Secret } from '../../../actions/core/secret.ts';
import { connectSsh, type Ssh, type SshTarget } from '../../../actions/core/ssh.ts';
import { run } from '../../../actions/rollout/run.ts';
import { environmentName } from '../../lab/paths.ts';
import { binaryPath } from '../../lab/pipeline.ts';
import { labSecrets } from '../../lab/secrets.ts';
import { type Relay, relay } from '../../relay.ts';
import { everyNode, writeRepository } from './ours.ts';

/** What is done once on each node that is changed, in this order; a look is repeated as long as a gate wants. */
export const exchanges = ['connect', 'facts', 'stage', 'switch', 'connect again', 'confirm', 'finish', 'look'] as const;
export type Exchange = (typeof exchanges)[number];

export interface Timed {
  readonly exchange: Exchange;
  readonly ms: number;
}

/** The distance of the far runs, there and back. */
export const roundTripMs = 200;

/** One rollout with every node `oneWayMs` away: how long each exchange with a node took. */
async function timeExchanges(repository: string, oneWayMs: number): Promise<Timed[]> {
  const times: Timed[] = [];
  const relays = new Map<string, Promise<Relay>>();
  const timed = async <T>(exchange: Exchange | undefined, work: () => Promise<T>): Promise<T> => {
    const begun = performance.now();
    const result = await work();
    if (exchange !== undefined) times.push({ exchange, ms: performance.now() - begun });
    return result;
  };
  const connect = async (target: SshTarget): Promise<Ssh> => {
    const again = relays.has(target.node);
    const between = relays.get(target.node) ?? relay(target.port, target.host, oneWayMs);
    relays.set(target.node, between);
    const { port } = await between;
    const ssh = await timed(again ? 'connect again' : 'connect', () =>
      connectSsh({ ...target, host: '127.0.0.1', port }),
    );
    return {
      ...ssh,
      exec: (command, options) => timed(exchangeOf(command), () => ssh.exec(command, options)),
    };
  };
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  try {
    await run(
      {
        ...{ environment: environmentName, mode: 'apply', force: false, binary: binaryPath },
        fleetSecret: new Secret(FIREDRILL_SECRET),
        linodeToken: new Secret(LINODE_TOKEN),
      },
      {
        ...{ linode: linodeApi, connect, log: plainLog(() => {}), mask: () => {}, summary: async () => {} },
        ...{ root: repository, who: `bench-${process.pid}`, signal: new AbortController().signal },
      },
    );
  } finally {
    for (const each of relays.values()) (await each).close();
  }
  return times;
}

/** What a command line of the rollout is for; undefined for one that belongs to no node's change. Pure. */
export function exchangeOf(command: string): Exchange | undefined {
  const word = /apply\.sh(?: "\$@"' sh)? \w+ (\w+)/.exec(command)?.[1];
  if (word !== undefined) return exchanges.find((each) => each === word);
  const digest = /^sudo -n sh -s -- (\S+)/.exec(command)?.[1];
  return digest === undefined ? undefined : digest === '-' ? 'look' : 'facts';
}

/**
 * Round trips of each exchange: what the distance adds to the quickest, and one for opening TCP, which the relay does not delay. Throws
 * when an exchange was never seen. Pure.
 */
export function tripsOf(near: readonly Timed[], far: readonly Timed[]): Map<Exchange, number> {
  return new Map(
    exchanges.map((exchange) => {
      const of = (times: readonly Timed[]) => quickest(times.filter((each) => each.exchange === exchange));
      const opening = exchange.startsWith('connect') ? 1 : 0;
      return [exchange, (of(far) - of(near)) / roundTripMs + opening] as const;
    }),
  );
}

/** The one that nothing else on the machine made wait. */
function quickest(times: readonly Timed[]): number {
  if (times.length === 0) throw new Error('an exchange was never seen');
  return Math.min(...times.map((each) => each.ms));
}

/** Rollouts that touch every node, in turns near and far, twice each. */
export async function measureTrips(
  scratch: string,
  log: (line: string) => void,
): Promise<(readonly [Exchange, number])[]> {
  const near: Timed[] = [];
  const far: Timed[] = [];
  for (let round = 0; round < 4; round += 1) {
    const isFar = round % 2 === 1;
    writeRepository(`${scratch}/trips`, everyNode, round);
    const times = await timeExchanges(`${scratch}/trips`, isFar ? roundTripMs / 2 : 0);
    (isFar ? far : near).push(...times);
    log(`  ${isFar ? `${roundTripMs} ms away` : 'near'}: ${times.length} exchanges`);
  }
  return [...tripsOf(near, far)];
}
