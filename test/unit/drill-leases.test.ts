import { describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import { plainLog } from '../../actions/core/log.ts';
import type { Fleet, FleetNode } from '../../actions/drill/fleet.ts';
import { holdLeases, leaseTimes } from '../../actions/drill/leases.ts';
import { labEnvironment } from './environment-fixture.ts';

const log = plainLog(() => {});
const ok = { code: 0, stdout: '', stderr: '' };

/** Two nodes whose lease.sh takes `slowMs`; what it was asked is in `done` when it is done. */
function fleetOf(leaseMs: number, slowMs: number, refuses?: string): { fleet: Fleet; done: string[] } {
  const done: string[] = [];
  const base = labEnvironment();
  const healAfterMs = -60_000; // no fault to outlive: the lease is as short as leaseMs
  const environment = { ...base, rollout: { ...base.rollout, leaseMs }, drill: { ...base.drill, healAfterMs } };
  const node = (name: string): FleetNode => {
    const exec = async (command: string) => {
      const action = /drill\/lease\.sh (take|drop)/.exec(command)?.[1];
      if (action === undefined) return ok;
      if (action === 'take') await sleep(slowMs);
      if (name === refuses && action === 'take') return { ...ok, code: 4, stderr: 'run 7 has it' };
      done.push(`${name} ${action}`);
      return ok;
    };
    return { name, ssh: { node: name, exec } } as unknown as FleetNode;
  };
  return { fleet: { environment, nodes: [node('a'), node('b')] } as unknown as Fleet, done };
}

describe("a drill's leases", () => {
  test('outlive the fault of a drill that died just before it would have renewed them', () => {
    const { rollout, drill } = labEnvironment();
    const { forMs, renewMs } = leaseTimes(labEnvironment());
    expect(forMs - renewMs).toBeGreaterThanOrEqual(drill.healAfterMs + 10_000);
    expect(renewMs).toBeLessThan(rollout.leaseMs);
  });

  test('are given back after a renewal that is under way, never before it', async () => {
    const { fleet, done } = fleetOf(30, 40);
    const leases = await holdLeases(fleet, log);
    await sleep(70); // the renewals begun 10 ms after the first taking last 40 ms each
    await leases.release();
    const count = done.length;
    await sleep(100);
    expect(done).toHaveLength(count);
    for (const name of ['a', 'b']) {
      const own = done.filter((line) => line.startsWith(name));
      expect(own.filter((line) => line.endsWith('take')).length).toBeGreaterThan(1);
      expect(own.at(-1)).toBe(`${name} drop`);
    }
  });

  test('are renewed in turn: all nodes at once would be a stall of the drill’s own', async () => {
    const { fleet, done } = fleetOf(1800, 1);
    const leases = await holdLeases(fleet, log);
    await until(async () => (done.length > 2 ? true : undefined), {
      timeoutMs: 5000,
      intervalMs: 10,
      what: 'a renewal',
    });
    expect(done.slice(2)).toEqual(['a take']);
    await leases.release();
  });

  test('are lent for a deploy of its own: none is held or renewed then, and all are taken again', async () => {
    const { fleet, done } = fleetOf(30, 15);
    const leases = await holdLeases(fleet, log);
    await sleep(15); // a renewal is under way
    const lent = leases.lend(async () => {
      const before = done.length;
      await sleep(60);
      return [done.slice(-2).sort(), done.length - before];
    });
    expect(await lent).toEqual([['a drop', 'b drop'], 0]);
    expect(done.slice(-2).sort()).toEqual(['a take', 'b take']);
    await leases.release();
  });

  test('are taken anew before something is broken, or nothing is when another run took one meanwhile', async () => {
    const { fleet, done } = fleetOf(1800, 1);
    const leases = await holdLeases(fleet, log);
    await leases.renew();
    expect(done.slice(2).sort()).toEqual(['a take', 'b take']);
    const b = fleet.nodes[1] as { ssh: { exec: unknown } };
    const { exec } = b.ssh;
    b.ssh.exec = async () => ({ code: 4, stdout: '', stderr: 'run 9 (deploy) has worked on this node for 3 s' });
    await expect(leases.renew()).rejects.toMatchObject({ code: 'lease', facts: { node: 'b' } });
    b.ssh.exec = exec;
    await leases.release();
  });

  test('outlive that a node is silent for some renewals', async () => {
    const { fleet, done } = fleetOf(90, 1);
    const leases = await holdLeases(fleet, log);
    const b = fleet.nodes[1] as { ssh: { exec: unknown } };
    const { exec } = b.ssh;
    let tried = 0;
    b.ssh.exec = async () => {
      tried += 1;
      throw new Error('b: sudo -n lease.sh took longer than 20000 ms');
    };
    await until(async () => (tried > 2 ? true : undefined), { timeoutMs: 5000, intervalMs: 10, what: 'some renewals' });
    b.ssh.exec = exec;
    const before = done.length;
    const again = async () => (done.slice(before).includes('b take') ? true : undefined);
    await until(again, { timeoutMs: 5000, intervalMs: 10, what: 'its renewal' });
    await leases.release();
    expect(done.at(-1)).toMatch(/drop/);
  });

  test('are given back on every node when one stays with another run', async () => {
    const { fleet, done } = fleetOf(30, 5, 'b');
    await expect(holdLeases(fleet, log)).rejects.toMatchObject({ code: 'lease', facts: { node: 'b' } });
    expect(done.filter((line) => line.startsWith('a')).at(-1)).toBe('a drop');
  });
});
