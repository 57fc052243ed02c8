import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import { lab } from '../lab/paths.ts';
import { holder } from './balancers.ts';
import { request } from './lab-command.ts';
import { environment, onEach, onNode, settled } from './nodes.ts';

const { shared } = environment.haproxy;
const balancers = nodesOf(environment, 'lb');
const address = shared?.address ?? '';

async function backup(): Promise<string> {
  const holds = await holder();
  return balancers.find(({ name }) => name !== holds)?.name ?? '';
}

export function sharedAddressSettings(): void {
  test('says every advertIntervalMs that it lives', async () => {
    const forMs = 2000;
    const said = await onNode(
      await backup(),
      `nft 'table inet settings { chain in { type filter hook input priority 0; iifname "eth2" meta l4proto vrrp counter; }; }'
      sleep ${forMs / 1000}
      nft list table inet settings
      nft delete table inet settings`,
    );
    const expected = forMs / (shared?.advertIntervalMs ?? 0);
    const adverts = Number(/packets (\d+)/.exec(said)?.[1]);
    expect(adverts).toBeGreaterThan(expected * 0.7);
    expect(adverts).toBeLessThan(expected * 1.3);
  });

  test('leaves the address where it is, also when it has become the higher one (nopreempt)', async () => {
    const said = await onNode(
      await backup(),
      `reign=/run/firedrill-shared/reign from=$(date +%s)
      echo 153 > $reign
      for time in $(seq 30); do
        if ip -o -4 address show dev eth2 to ${address} | grep -q .; then echo taken; fi
        sleep 0.05
      done
      echo 0 > $reign
      journalctl -u keepalived --since "@$from" -o cat --no-pager`,
    );
    await settled();
    expect(said).toMatch(/effective priority from 100 to 253/);
    expect(said).not.toMatch(/^taken$/m);
  });

  test('has nobody but the holder answer for the address (arp_ignore)', async () => {
    const counted = `table netdev settings { chain out { type filter hook egress device eth2 priority 0; arp operation reply arp saddr ip ${address} counter; }; }`;
    const holds = await holder();
    try {
      await onEach('lb', `nft '${counted}'`);
      for (let time = 0; time < 2; time += 1) {
        execFileSync('ip', ['-n', lab.name, 'neigh', 'flush', 'to', address]);
        expect(request(`http://${address}/healthz`).status).toBe(200);
      }
      for (const { node, said } of await onEach('lb', 'nft list table netdev settings')) {
        const replies = Number(/packets (\d+)/.exec(said)?.[1]);
        if (node.name === holds) expect(replies).toBeGreaterThan(0);
        else expect(replies, node.name).toBe(0);
      }
    } finally {
      await onEach('lb', 'nft delete table netdev settings || true');
    }
  });
}
