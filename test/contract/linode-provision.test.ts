import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { deriveHostKey } from '../../actions/core/derive.ts';
import { FiredrillError } from '../../actions/core/errors.ts';
import type { Fault } from '../lab/linode-api/index.ts';
import { fakeMachines } from './linode-fakes.ts';
import { fleetSecret, startRig, token } from './linode-setup.ts';

const nodeCount = 11;

describe('provision against an API that speaks as Linode', () => {
  it('makes an empty account have what the environment names', async () => {
    const rig = await startRig();
    const result = await rig.provision();
    expect(result.changed).toBe(true);
    expect(result.inventory?.nodes.map((node) => [node.name, node.status, node.address])).toContainEqual([
      'redis-1',
      'running',
      '198.18.0.11',
    ]);
    const state = rig.server.state();
    expect(state.instances).toHaveLength(nodeCount);
    expect(state.vpcs.map((vpc) => [vpc.label, vpc.subnets[0]?.ipv4])).toEqual([['firedrill-lab', '198.18.0.0/24']]);
    expect(state.firewalls[0]?.devices).toHaveLength(nodeCount);
    expect(state.instances.find((each) => each.label === 'firedrill-lab-redis-1')?.tags).toEqual([
      'firedrill',
      'env:lab',
      'node:redis-1',
      'role:redis',
    ]);
    expect(rig.machines.specs.get('firedrill-lab-redis-1')?.addresses).toEqual([
      result.inventory?.nodes[0]?.publicAddress,
      '198.18.0.11',
    ]);
    expect(rig.machines.specs.get('firedrill-lab-redis-1')?.vlan).toBeUndefined();
    expect(rig.machines.specs.get('firedrill-lab-lb-2')?.vlan).toEqual({
      label: 'firedrill-lab',
      address: '192.0.2.42/24',
    });
    expect(rig.summaries[0]).toContain('| redis-1 | redis |');
  });

  it('keeps to the description of the API that Linode publishes', async ({ skip }) => {
    const rig = await startRig();
    if (!rig.server.checked) skip("Linode's description is not here (LINODE_API_SCHEMA)");
    await rig.provision();
    await rig.provision();
    expect(rig.serverLog).toEqual([]);
  });

  it('changes nothing the second time, in under 2 s', async () => {
    const rig = await startRig();
    await rig.provision();
    const before = rig.server.state();
    const startedAt = performance.now();
    const second = await rig.provision();
    expect(performance.now() - startedAt).toBeLessThan(2000);
    expect(second.changed).toBe(false);
    expect(second.inventory?.nodes).toHaveLength(nodeCount);
    expect(rig.server.state()).toEqual(before);
  });

  it('with mode plan shows what it would do and touches nothing', async () => {
    const rig = await startRig();
    const { changed, inventory } = await rig.provision({ mode: 'plan' });
    expect(changed).toBe(true);
    expect(inventory).toBeUndefined();
    expect(rig.server.state().instances).toEqual([]);
    expect(rig.lines[0]).toBe('plan for lab: 13 changes');
  });

  it('gives each machine the host key that the controller pins, and keeps it out of the log', async () => {
    const rig = await startRig();
    const { inventory } = await rig.provision();
    const { privateKey, publicLine } = deriveHostKey(fleetSecret, 'lab', 'app-1');
    const config = parse(rig.machines.specs.get('firedrill-lab-app-1')?.userData ?? '');
    expect(config.ssh_keys).toEqual({ ed25519_private: privateKey.reveal(), ed25519_public: publicLine });
    expect(inventory?.nodes.find((node) => node.name === 'app-1')?.hostKey).toBe(publicLine);
    const lines = privateKey
      .reveal()
      .split('\n')
      .filter((line) => line.length >= 8 && !line.startsWith('-'));
    for (const line of [...lines, token, fleetSecret.reveal()]) {
      expect(rig.masked).toContain(line);
      expect(rig.lines.join('\n')).not.toContain(line);
    }
  });

  it('makes up for a node that was added, and leaves one that is no longer named', async () => {
    const rig = await startRig();
    const withoutApp2 = (yaml: string) => yaml.replace(/.*app-2.*\n/, '');
    await rig.provision({ edit: withoutApp2 });
    expect(rig.server.state().instances).toHaveLength(nodeCount - 1);
    const grown = await rig.provision();
    expect(grown.plan.machines.filter((machine) => machine.steps.length > 0).map((each) => each.node.name)).toEqual([
      'app-2',
    ]);
    const shrunk = await rig.provision({ edit: withoutApp2 });
    expect(shrunk.changed).toBe(false);
    expect(rig.lines).toContainEqual(
      expect.stringContaining('warning: the environment no longer names firedrill-lab-app-2'),
    );
    expect(rig.server.state().instances).toHaveLength(nodeCount);
  });

  it('boots a machine that is off', async () => {
    const rig = await startRig({ lassieDelayMs: 60_000 });
    await rig.provision();
    rig.machines.become('firedrill-lab-redis-2', 'offline');
    const second = await rig.provision();
    expect(second.changed).toBe(true);
    expect(rig.machines.state('firedrill-lab-redis-2')).toBe('running');
  });

  it('says which machine did not come up, why, and what to do', async () => {
    const rig = await startRig({
      machines: fakeMachines({
        cloudInit: (name) => ({ v1: { errors: name.endsWith('lb-1') ? ['bad user data'] : [] } }),
      }),
    });
    const error = await rig.provision().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(FiredrillError);
    expect((error as FiredrillError).facts).toMatchObject({ code: 'remote', node: 'lb-1', phase: 'cloud-init' });
    expect((error as FiredrillError).message).toMatch(/bad user data.*delete the Linode and run again/);
  });

  it.each([
    ['region: lab-1', 'region: nowhere', /linode.region nowhere: Linode does not have that/],
    ['image: linode/debian13', 'image: linode/debian4', /linode.image linode\/debian4: Linode does not have that/],
  ])('stops before anything is created when %s becomes %s', async (from, to, message) => {
    const rig = await startRig();
    await expect(rig.provision({ edit: (yaml) => yaml.replace(from, to) })).rejects.toThrow(message);
    expect(rig.server.state()).toMatchObject({ vpcs: [], firewalls: [], instances: [] });
  });

  it('puts back a firewall that was changed and a machine that was taken out of it', async () => {
    const rig = await startRig();
    await rig.provision();
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const [firewall] = rig.server.state().firewalls;
    const url = `${rig.server.url}/v4/networking/firewalls/${firewall?.id}`;
    const open = { inbound: [], inbound_policy: 'ACCEPT', outbound: [], outbound_policy: 'ACCEPT' };
    await fetch(`${url}/rules`, { method: 'PUT', headers, body: JSON.stringify(open) });
    await fetch(`${url}/devices/${firewall?.devices[0]?.id}`, { method: 'DELETE', headers });
    expect((await rig.provision()).changed).toBe(true);
    expect(rig.server.state().firewalls[0]?.rules.inbound_policy).toBe('DROP');
    expect(rig.server.state().firewalls[0]?.devices).toHaveLength(nodeCount);
    expect((await rig.provision()).changed).toBe(false);
  });

  it('reports an operation that Linode says failed', async () => {
    const machines = fakeMachines();
    const rig = await startRig({ machines });
    machines.failNext('boot', 'no host has room');
    await expect(rig.provision()).rejects.toThrow(/linode_boot failed: no host has room/);
    // The next run boots it.
    expect((await rig.provision()).changed).toBe(true);
    expect((await rig.provision()).changed).toBe(false);
  });

  it('does not go on with a machine that shows another host key', async () => {
    const rig = await startRig();
    await rig.provision();
    const other = fakeMachines();
    await other.create({
      ...(rig.machines.specs.get('firedrill-lab-redis-1') as NonNullable<ReturnType<typeof rig.machines.specs.get>>),
      userData: rig.machines.specs.get('firedrill-lab-redis-2')?.userData ?? '',
    });
    await other.boot('firedrill-lab-redis-1');
    const connect: typeof rig.machines.connect = (target) =>
      target.node === 'redis-1' ? other.connect(target) : rig.machines.connect(target);
    await expect(rig.provision({ deps: { connect } })).rejects.toThrow(/redis-1.*another host key/);
    await other.close();
  });
});

describe('a provision that was killed', () => {
  it.each([0, 1, 4, 9])('after %i creations is completed by the next, without duplicates', async (survivors) => {
    let creates = 0;
    let killed = false;
    const rig = await startRig({
      faults: (request): Fault | undefined => {
        if (request.method !== 'POST' || !request.path.endsWith('/linode/instances') || killed) return undefined;
        creates += 1;
        // What a killed run never sent never has an effect.
        return creates > survivors ? { reply: { status: 401, body: { errors: [{ reason: 'killed' }] } } } : undefined;
      },
    });
    await expect(rig.provision()).rejects.toThrow();
    killed = true;
    const { inventory } = await rig.provision();
    expect(inventory?.nodes.every((node) => node.status === 'running')).toBe(true);
    expect(rig.machines.created.toSorted()).toEqual([...new Set(rig.machines.created)].toSorted());
    expect(rig.server.state().instances).toHaveLength(nodeCount);
    expect((await rig.provision()).changed).toBe(false);
  });

  it('while machines are being created adopts and awaits them', async () => {
    const rig = await startRig({ machines: fakeMachines({ stepMs: 150 }) });
    const connect = () => Promise.reject(new Error('killed'));
    const impatient = (yaml: string) => yaml.replace('bootTimeoutMs: 10000', 'bootTimeoutMs: 1000');
    const abandoned = rig.provision({ deps: { connect }, edit: impatient }).catch(() => undefined);
    await expect.poll(() => rig.server.state().instances.length).toBe(nodeCount);
    const second = await rig.provision();
    expect(second.inventory?.nodes.every((node) => node.status === 'running')).toBe(true);
    expect(rig.machines.created).toHaveLength(nodeCount);
    await abandoned;
  });

  it('together with the API server leaves nothing half done', async () => {
    const rig = await startRig({ machines: fakeMachines({ stepMs: 100 }) });
    const first = rig.provision().catch((error: unknown) => error);
    await expect.poll(() => rig.server.state().instances.length).toBeGreaterThan(3);
    await rig.restart();
    await first;
    const { inventory } = await rig.provision();
    expect(inventory?.nodes.every((node) => node.status === 'running')).toBe(true);
    expect(rig.server.state().instances).toHaveLength(nodeCount);
  });
});
