import { expect, test } from 'vitest';
import { sleep } from '../../actions/core/deadline.ts';
import { nodeNamed, nodesOf } from '../../actions/core/environment/nodes.ts';
import { startTraffic } from '../faults/traffic.ts';
import { request } from './lab-command.ts';
import { disturb, environment, onNode, rulesFor, settled } from './nodes.ts';

const { haproxy, app } = environment;
const shared = `http://${haproxy.shared?.address}`;
const balancer = nodeNamed(environment, 'lb-1');
const otherBalancer = nodeNamed(environment, 'lb-2');
const apps = nodesOf(environment, 'app');
const one = nodeNamed(environment, 'app-1');

/** A shell's function: a command for HAProxy's socket. */
const ask = 'ask() { echo "$1" | socat -t 2 - UNIX-CONNECT:/run/haproxy/admin.sock; };';
/** Prints the service's servers: name, column of `show stat`. */
const stat = (column: string) =>
  `ask 'show stat' | awk -F, 'NR == 1 { sub(/^# /, ""); for (i = 1; i <= NF; i++) at[$i] = i } $1 == "app" && $2 != "BACKEND" { print $2, $at["${column}"] }'`;

/** Clients meanwhile; none may fail. Gives what the longest of them waited (ms). */
async function longestDuring(fault: () => Promise<void>): Promise<number> {
  const traffic = startTraffic(shared);
  try {
    await sleep(1000);
    await fault();
    await sleep(2000);
  } finally {
    await settled();
  }
  const { failed, wrong, longestMs } = await traffic.end();
  expect([...failed, ...wrong]).toEqual([]);
  return longestMs;
}

export function balancerSettings(): void {
  test('sends what a server does not confirm to another after silentMs, long before responseTimeoutMs (tcp-ut)', async () => {
    const longestMs = await longestDuring(() => disturb(one.name, 'net.sh', 'silent', '2000'));
    await onNode(one.name, 'nft delete table netdev firedrill_drill');
    // The lower bound: something was sent there.
    expect(longestMs).toBeGreaterThan(haproxy.silentMs - 60);
    expect(longestMs).toBeLessThan(haproxy.responseTimeoutMs - 50);
  });

  test('sends what a frozen server confirms and does not answer to another after responseTimeoutMs', async () => {
    const longestMs = await longestDuring(() => disturb(one.name, 'freeze.sh', 'freeze', '2500'));
    expect(longestMs).toBeGreaterThan(haproxy.responseTimeoutMs - 60);
    expect(longestMs).toBeLessThan(haproxy.responseTimeoutMs + 250);
  });

  test('asks an idle server for a sign of life every keepaliveS', async () => {
    for (let count = 0; count < 4; count += 1) request(`http://${balancer.address}/v1/sessions/settings`);
    const said = await onNode(balancer.name, `ss -Htno state established dport = :${app.port}`);
    const timers = [...said.matchAll(/timer:\(keepalive,([^,]+)/g)].map((match) => match[1]);
    expect(timers, said).not.toEqual([]);
    const seconds = Array.from({ length: haproxy.keepaliveS }, (_, before) => before + 1).join('|');
    for (const timer of timers) expect(timer).toMatch(new RegExp(`^(\\d+ms|(${seconds})sec)$`));
  });

  test('checks each server every checkIntervalMs', async () => {
    const count = `curl -s http://127.0.0.1:${app.port}/metrics | awk '/^sessiond_requests_total.route="healthz"/ { sum += $2 } END { print sum + 0 }'`;
    const checks = Number(await onNode(one.name, `from=$(${count}); sleep 3; echo $(($(${count}) - from))`));
    // Two load balancers. The monitor asks through them, about once a second each.
    const expected = (2 * 3000) / haproxy.checkIntervalMs;
    expect(checks).toBeGreaterThan(expected * 0.7);
    expect(checks).toBeLessThan(expected * 1.5 + 8);
  });

  test('has a server down after `fall` refused checks and up after `rise` good ones, each fastIntervalMs after the one before', async () => {
    const watch = `${ask} now() { date +%s%3N; }; until=$(($(now) + 6000)) last=
      while [ $(now) -lt $until ]; do
        status=$(${stat('status')} | sed -n 's/^${one.name} //p')
        if [ "$status" != "$last" ]; then echo "$(now) $status"; last=$status; fi
      done`;
    const refuseMs = 2000;
    const balancers = [balancer.address, otherBalancer.address];
    const refuse = rulesFor(refuseMs, balancers, `tcp dport ${app.port} reject with tcp reset`);
    const seen = onNode(balancer.name, watch);
    await sleep(1500);
    const refusedAt = Number((await onNode(one.name, `date +%s%3N; ${refuse}`)).split('\n')[0]);
    const changes = (await seen).split('\n').map((line) => ({ at: Number(line.slice(0, 13)), status: line.slice(14) }));
    await onNode(one.name, 'nft delete table inet settings');
    await settled();
    const statuses = changes.map(({ status }) => status);
    const between = (what: string, fewer: number) =>
      Array.from({ length: fewer - 1 }, (_, at) => `${what} ${what === 'UP' ? fewer - 1 - at : at + 1}/${fewer}`);
    const falling = between('UP', haproxy.fall);
    const rising = between('DOWN', haproxy.rise);
    expect(statuses).toEqual(['UP', ...falling, 'DOWN', ...rising, 'UP']);
    const at = (index: number) => changes[index]?.at ?? Number.NaN;
    const down = falling.length + 1;
    const up = down + rising.length + 1;
    const slackMs = 150;
    expect(at(1) - refusedAt).toBeLessThan(haproxy.checkIntervalMs + slackMs);
    expect(at(down) - at(1)).toBeLessThan(haproxy.fastIntervalMs * (haproxy.fall - 1) + slackMs / 2);
    expect(at(down + 1) - refusedAt - refuseMs).toBeLessThan(haproxy.checkIntervalMs + slackMs);
    expect(at(up) - at(down + 1)).toBeLessThan(haproxy.fastIntervalMs * (haproxy.rise - 1) + slackMs / 2);
  });

  test('asks servers that all count as down, every one of them (backup, allbackups)', async () => {
    const all = (make: (server: string) => string) => apps.map(({ name }) => `ask '${make(`app/${name}`)}'`).join('; ');
    const sums = async () => {
      const lines = (await onNode(balancer.name, `${ask} ${stat('stot')}`)).split('\n');
      const unchecked = lines.map((line) => line.split(' ')).filter(([name]) => name?.endsWith('-unchecked'));
      return unchecked.map(([, count]) => Number(count));
    };
    const before = await sums();
    try {
      // HAProxy believes it, while they answer.
      await onNode(balancer.name, `${ask} ${all((each) => `disable health ${each}; set server ${each} health down`)}`);
      expect(await onNode(balancer.name, `${ask} ${stat('status')}`)).toMatch(/app-1 DOWN[\s\S]*app-2 DOWN/);
      for (let count = 0; count < 6; count += 1) expect(request(`http://${balancer.address}/healthz`).status).toBe(200);
    } finally {
      await onNode(balancer.name, `${ask} ${all((each) => `enable health ${each}; set server ${each} health up`)}`);
    }
    const after = await sums();
    expect(after.filter((sum, at) => sum > (before[at] ?? 0))).toHaveLength(apps.length);
    await settled();
  });

  test('has room for maxConnections on both load balancers, two file descriptors each', async () => {
    const asked = `${ask} ask 'show info' | grep ^Maxconn:; for each in $(pgrep -x haproxy); do awk '/Max open files/ { print $4 }' /proc/$each/limits; done`;
    for (const node of [balancer, otherBalancer]) {
      const [most, ...files] = (await onNode(node.name, asked)).split('\n');
      expect(most).toBe(`Maxconn: ${haproxy.maxConnections}`);
      expect(Math.max(...files.map(Number))).toBeGreaterThanOrEqual(2 * haproxy.maxConnections);
    }
  });
}
