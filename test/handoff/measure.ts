/**
 * node test/handoff/measure.ts stop|kill|restart|crash ROUNDS [ROOT] [DOWN_AFTER_MS] [HANDOFF_AFTER_MS]: rounds of one fault, and the
 * figures. The times are what the environments have by default: 1000 and 0.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { releaseOf } from '../unit/rollout-fixture.ts';
import { nodeOf, type Rig, redisClient, redisHosts, settledPrimary, start, startRig, stop, stopRig } from './rig.ts';
import { longestGap, startWriter } from './writer.ts';

const [what = 'stop', rounds = '5', root = '', downAfter = '1000', after = '0'] = process.argv.slice(2);
const figures: Record<string, number[]> = { stall: [], promoted: [], acked: [], lost: [] };

async function round(rig: Rig, number: number): Promise<void> {
  const primary = await settledPrimary();
  const node = nodeOf(rig, primary);
  for (const each of rig.nodes) each.said.length = 0;
  const writers = [startWriter()];
  await sleep(500 + Math.random() * 700);
  const others = redisHosts.filter((host) => host !== primary);
  const fault = performance.now();
  if (what === 'kill') {
    node.restart = false;
    node.process?.kill('SIGKILL');
  } else if (what === 'crash') node.process?.kill('SIGKILL');
  const promoted = what === 'crash' ? Promise.resolve(fault) : promotionOf(others);
  if (what === 'stop' || what === 'restart') {
    await stop(rig, node);
    if (what === 'restart') void start(rig, node);
  }
  const at = await promoted;
  await sleep(what === 'stop' ? 300 : 2500);
  await Promise.all(writers.map((each) => each.stop()));
  if (what === 'stop' || what === 'kill') await start(rig, node);
  const now = await settledPrimary();
  const lost = (await Promise.all(writers.map((each) => each.lostOn(now)))).flat();
  const stalls = writers.map((each) => longestGap(each.acked, fault));
  const first = Math.max(
    ...writers.map((each) => each.acked.find((one) => one.at > Math.max(at, fault))?.at ?? Infinity),
  );
  push(figures.stall, Math.max(...stalls));
  push(figures.promoted, at - fault);
  push(figures.acked, first - fault);
  push(figures.lost, lost.length);
  const total = writers.reduce((sum, each) => sum + each.acked.length, 0);
  const line = `${number}: stall ${Math.max(...stalls).toFixed(0)} promoted ${(at - fault).toFixed(0)} acked ${(first - fault).toFixed(0)} lost ${lost.length} of ${total}`;
  console.log(`${line}; ${primary} -> ${now}; ${node.said.join(' | ')}`);
}

function push(list: number[] | undefined, value: number): void {
  list?.push(value);
}

async function promotionOf(hosts: readonly string[]): Promise<number> {
  const deadline = performance.now() + 20_000;
  const clients = new Map(hosts.map((host) => [host, redisClient(host)]));
  try {
    while (performance.now() < deadline) {
      for (const host of hosts) {
        const role = await clients
          .get(host)
          ?.call('ROLE')
          .catch(() => void clients.set(host, redisClient(host)));
        if ((role as unknown[] | undefined)?.[0] === 'master') return performance.now();
      }
      await sleep(3);
    }
    return Infinity;
  } finally {
    for (const client of clients.values()) client.disconnect();
  }
}

const rig = await startRig({
  root,
  release: releaseOf('redis-1'),
  downAfterMs: Number(downAfter),
  handoffAfterMs: Number(after),
});
try {
  for (let number = 1; number <= Number(rounds); number++) await round(rig, number);
} catch (error) {
  console.log(error);
  for (const node of rig.nodes) console.log(node.host, node.said.join(' | '));
} finally {
  for (const [name, list] of Object.entries(figures)) {
    const sorted = [...list].sort((a, b) => a - b);
    const q = (p: number) => sorted[Math.min(sorted.length - 1, Math.ceil(p * sorted.length) - 1)]?.toFixed(0);
    console.log(`${name}: p50 ${q(0.5)} p95 ${q(0.95)} max ${q(1)} of ${sorted.length}`);
  }
  await stopRig(rig);
}
process.exit(0);
