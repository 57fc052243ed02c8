import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { nodeScripts, planned } from './node-scripts.ts';

// Sends a datagram to each of the other side's addresses every 10 ms, and prints whose arrived when.
const talker = `
const [, ...pairs] = process.argv;
for (const pair of pairs) {
  const [own, other] = pair.split('=');
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('error', (error) => console.log('error', error.code));
  socket.on('message', () => console.log(other, Date.now()));
  socket.bind(7000, own, () => setInterval(() => socket.send('x', 7000, other, (error) => error && console.log('error', error.code)), 10));
}`;

interface Talker {
  readonly process: ChildProcess;
  /** Its words so far, each an address and a time. */
  readonly heard: () => (readonly [string, number])[];
}

function talk(inside: (argv: readonly string[]) => string[], pairs: readonly string[]): Talker {
  const [command = '', ...args] = inside([process.execPath, '-e', talker, ...pairs]);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const heard = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split(' '))
      .map(([who = '', at]) => [who, Number(at)] as const);
  return { process: child, heard };
}

/** The silences longer than a busy machine's own, from an address, since then: begin and length (ms). */
function gaps({ heard }: Talker, who: string, since: number): { readonly at: number; readonly ms: number }[] {
  const times = heard().flatMap(([from, at]) => (from === who && at >= since - 100 ? [at] : []));
  return times.flatMap((at, index) => {
    const ms = (times[index + 1] ?? at) - at;
    return ms > 120 ? [{ at, ms }] : [];
  });
}

describe("a machine's links", () => {
  const enter = (pid: number, argv: readonly string[]) => [
    ...['nsenter', '--preserve-credentials', '--user', '--net', '--target', String(pid), '--'],
    ...argv,
  ];
  const holders: ChildProcess[] = [];
  let missing: string | undefined;
  let node: (argv: readonly string[]) => string[];
  let peer: (argv: readonly string[]) => string[];
  let ears: { node: Talker; peer: Talker };

  const run = (inside: (argv: readonly string[]) => string[], ...argv: string[]) => {
    const [command = '', ...args] = inside(argv);
    return execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe', timeout: 10_000 });
  };
  const net = (...args: string[]) => run(node, 'sh', `${nodeScripts}net.sh`, ...args);

  /** A network namespace that lives as long as its process. */
  const namespace = async (command: string, ...args: string[]): Promise<number> => {
    const child = spawn(command, [...args, 'sh', '-c', 'echo $$; exec sleep 120'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    holders.push(child);
    const [said] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => [''])]);
    return Number(said);
  };

  beforeAll(async () => {
    try {
      const pid = await namespace('unshare', '--map-root-user', '--net');
      node = (argv) => enter(pid, argv);
      const [command = '', ...args] = node(['unshare', '--net']);
      const other = await namespace(command, ...args);
      peer = (argv) => enter(other, argv);
      for (const link of ['veth-a', 'veth-b'])
        run(node, 'ip', 'link', 'add', link, 'type', 'veth', 'peer', 'name', link, 'netns', String(other));
      for (const [inside, end] of [
        [node, 1],
        [peer, 2],
      ] as const) {
        for (const [link, subnet] of [
          ['veth-a', '10.9.1'],
          ['veth-b', '10.9.2'],
        ]) {
          run(inside, 'ip', 'address', 'add', `${subnet}.${end}/24`, 'dev', `${link}`);
          run(inside, 'ip', 'link', 'set', `${link}`, 'up');
        }
      }
      net('silent', '1');
      net('heal');
    } catch (error) {
      missing = `needs a network namespace with nft and ip: ${(error as Error).message.split('\n')[0]}`;
      return;
    }
    const pairs = (own: number, other: number) =>
      [1, 2].map((subnet) => `10.9.${subnet}.${own}=10.9.${subnet}.${other}`);
    ears = { node: talk(node, pairs(1, 2)), peer: talk(peer, pairs(2, 1)) };
  });
  afterAll(() => {
    for (const child of [ears?.node.process, ears?.peer.process, ...holders]) child?.kill('SIGKILL');
  });
  beforeEach(async ({ skip }) => {
    if (missing !== undefined) skip(missing);
    const both = async () => ([ears.node, ears.peer].every((each) => each.heard().length > 20) ? true : undefined);
    await until(both, { timeoutMs: 10_000, intervalMs: 20, what: 'both to hear each other' });
  });
  afterEach(() => {
    if (missing === undefined) net('heal');
  });

  test('are silent both ways, ARP and all, for so long, and nobody on the machine is told', async () => {
    const at = planned(net('silent', '600'));
    await sleep(200);
    run(peer, 'ip', 'neighbour', 'flush', 'dev', 'veth-b');
    await sleep(200);
    expect(run(peer, 'ip', 'neighbour', 'show', 'dev', 'veth-b')).not.toContain('lladdr');
    expect(run(node, 'nft', 'list', 'ruleset')).not.toContain('"lo"');
    await sleep(700);
    for (const [ear, who] of [
      [ears.node, '10.9.1.2'],
      [ears.peer, '10.9.1.1'],
    ] as const) {
      const [gap, ...others] = gaps(ear, who, at);
      expect(others).toEqual([]);
      expect(gap?.ms).toBeGreaterThan(580);
      expect(gap?.ms).toBeLessThan(800);
      expect((gap?.at ?? 0) - at).toBeLessThan(150);
    }
    expect(ears.node.heard().filter(([word]) => word === 'error')).toEqual([]);
  });

  test('come back by themselves, whatever becomes of who silenced them', async () => {
    const [command = '', ...args] = node(['sh', '-c', `sh ${nodeScripts}net.sh silent 500; sleep 60`]);
    const caller = spawn(command, args, { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    const at = planned(String((await once(caller.stdout, 'data'))[0]));
    await sleep(100);
    process.kill(-(caller.pid ?? 0), 'SIGKILL');
    await sleep(700);
    const [gap] = gaps(ears.peer, '10.9.1.1', at);
    expect(gap?.ms).toBeGreaterThan(480);
    expect(gap?.ms).toBeLessThan(700);
  });

  test('are silent one by one: that which leads to an address, or that of a name', async () => {
    const byAddress = planned(net('silent', '300', '10.9.1.2'));
    await sleep(500);
    net('heal');
    const byName = planned(net('silent', '300', 'veth-b'));
    await sleep(500);
    const silent = (who: string) => gaps(ears.peer, who, byAddress).map(({ at }) => at >= byName - 20);
    expect([silent('10.9.1.1'), silent('10.9.2.1')]).toEqual([[false], [true]]);
    expect(() => net('silent', '300', 'veth-c')).toThrow('no such link: veth-c');
  });

  test('blink as often as they are told, and are up at the end', async () => {
    const at = planned(net('blink', '250', '200', '3'));
    await sleep(1700);
    const found = gaps(ears.peer, '10.9.1.1', at);
    expect(found.length).toBe(3);
    for (const { ms } of found) {
      expect(ms).toBeGreaterThan(230);
      expect(ms).toBeLessThan(400);
    }
    const [first = 0, second = 0, third = 0] = found.map((gap) => gap.at);
    expect(second - first).toBeGreaterThan(430);
    expect(third - second).toBeGreaterThan(430);
    expect(third - at).toBeLessThan(1300);
  });

  test('are healed from any state, as often as one likes, and no blink comes after that', async () => {
    const at = planned(net('blink', '200', '200', '9'));
    await sleep(300);
    net('heal');
    net('heal');
    const healedAt = Date.now();
    expect(run(node, 'nft', 'list', 'ruleset')).toBe('');
    await sleep(900);
    expect(gaps(ears.peer, '10.9.1.1', at).filter((gap) => gap.at > healedAt)).toEqual([]);
  });
});
