import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { deriveDeployKey, deriveHostKey, derivePassword } from '../../actions/core/derive.ts';
import type { LinodeApi } from '../../actions/core/linode/api.ts';
import { Secret } from '../../actions/core/secret.ts';
import { describePlan, summaryMarkdown } from '../../actions/provision/describe.ts';
import { firewallRules } from '../../actions/provision/firewall-rules.ts';
import { inputNames, outputNames, readInputs } from '../../actions/provision/inputs.ts';
import type { Live } from '../../actions/provision/live.ts';
import { changes, planProvision } from '../../actions/provision/plan.ts';
import { preflight } from '../../actions/provision/preflight.ts';
import { renderUserData, userDataTemplate } from '../../actions/provision/user-data.ts';
import { judge } from '../../actions/provision/watch.ts';
import { instances, labEnvironment } from './environment-fixture.ts';

const environment = labEnvironment();
const fleetSecret = new Secret('a fleet secret of at least thirty-two characters');
const empty: Live = { instances: [], addresses: new Map(), vlans: new Map() };

/** Linode as provision leaves it. */
function complete(): Live {
  const all = instances(environment);
  return {
    instances: all,
    vpc: { id: 1, region: 'lab-1', subnets: [{ id: 2, ipv4: '198.18.0.0/24' }] },
    firewall: { id: 3, rules: firewallRules(environment), instanceIds: all.map((each) => each.id) },
    addresses: new Map(all.map((each, index) => [each.id, environment.nodes[index]?.address ?? ''])),
    vlans: new Map(
      all.flatMap((each, index) => {
        const address = environment.nodes[index]?.vlanAddress;
        return address === undefined ? [] : [[each.id, `firedrill-lab ${address}/24`] as const];
      }),
    ),
  };
}

/** The same with one instance changed. */
function with1001(change: Partial<ReturnType<typeof instances>[number]>): Live {
  const live = complete();
  return { ...live, instances: live.instances.map((each) => (each.id === 1001 ? { ...each, ...change } : each)) };
}

const lines = (live: Live) => describePlan(planProvision(environment, live));

describe('what is asked before anything is created', () => {
  const offering = (...capabilities: string[]) =>
    ({
      getRegion: async () => ({ capabilities }),
      getImage: async () => ({ capabilities: ['cloud-init'] }),
    }) as unknown as LinodeApi;

  it('is a region with VLANs where two load balancers share an address in one, and only there', async () => {
    const some = ['Linodes', 'VPCs', 'Metadata', 'Cloud Firewall'];
    await expect(preflight(environment, offering(...some))).rejects.toThrow(/lab-1.*does not offer Vlans.*Choose/);
    await expect(preflight(environment, offering(...some, 'Vlans'))).resolves.toBeUndefined();
    const { vlan: _, ...network } = environment.network;
    await expect(preflight({ ...environment, network }, offering(...some))).resolves.toBeUndefined();
  });
});

describe('the plan', () => {
  it('for an empty account creates all', () => {
    expect(lines(empty)).toMatchInlineSnapshot(`
      [
        "plan for lab: 13 changes",
        "  create   VPC firedrill-lab in lab-1 with the subnet 198.18.0.0/24",
        "  create   firewall firedrill-lab with 5 rules",
        "  create   redis-1: g6-nanode-1, 198.18.0.11, redis",
        "  create   redis-2: g6-nanode-1, 198.18.0.12, redis",
        "  create   redis-3: g6-nanode-1, 198.18.0.13, redis",
        "  create   sentinel-1: g6-nanode-1, 198.18.0.21, sentinel",
        "  create   sentinel-2: g6-nanode-1, 198.18.0.22, sentinel",
        "  create   sentinel-3: g6-nanode-1, 198.18.0.23, sentinel",
        "  create   app-1: g6-nanode-1, 198.18.0.31, app",
        "  create   app-2: g6-nanode-1, 198.18.0.32, app",
        "  create   lb-1: g6-nanode-1, 198.18.0.41, lb",
        "  create   lb-2: g6-nanode-1, 198.18.0.42, lb",
        "  create   monitor-1: g6-nanode-1, 198.18.0.51, monitor",
      ]
    `);
  });

  it('for a complete fleet changes nothing', () => {
    const plan = planProvision(environment, complete());
    expect(changes(plan)).toBe(false);
    expect(plan.warnings).toEqual([]);
    expect(describePlan(plan)).toMatchInlineSnapshot(`
      [
        "plan for lab: nothing to change",
        "  keep     11 machines as they are",
      ]
    `);
  });

  it('completes what a killed run left', () => {
    const live = complete();
    const left: Live = {
      ...live,
      instances: live.instances
        .filter((each) => each.id < 1008)
        .map((each) =>
          each.id === 1003
            ? { ...each, status: 'provisioning' }
            : each.id === 1004
              ? { ...each, status: 'offline' }
              : each,
        ),
      vpc: { id: 1, region: 'lab-1', subnets: [] },
      firewall: { id: 3, rules: firewallRules(environment), instanceIds: [1001, 1002, 1003, 1004, 1005, 1006] },
    };
    expect(lines(left)).toMatchInlineSnapshot(`
      [
        "plan for lab: 7 changes",
        "  create   the subnet 198.18.0.0/24 in VPC 1",
        "  boot     sentinel-1: Linode 1004 is offline",
        "  firewall app-1: attach Linode 1007",
        "  create   app-2: g6-nanode-1, 198.18.0.32, app",
        "  create   lb-1: g6-nanode-1, 198.18.0.41, lb",
        "  create   lb-2: g6-nanode-1, 198.18.0.42, lb",
        "  create   monitor-1: g6-nanode-1, 198.18.0.51, monitor",
        "  wait     redis-3: Linode 1003 is provisioning",
        "  keep     4 machines as they are",
      ]
    `);
  });

  it('gives back what somebody changed: rules, tags, the firewall', () => {
    const live = with1001({ tags: ['mine', 'env:lab', 'firedrill', 'role:app'] });
    const changed: Live = { ...live, firewall: { id: 3, rules: { inbound: [] }, instanceIds: [1001] } };
    expect(lines(changed).slice(0, 4)).toMatchInlineSnapshot(`
      [
        "plan for lab: 12 changes",
        "  update   the rules of firewall 3",
        "  tag      redis-1: firedrill env:lab node:redis-1 role:redis mine",
        "  firewall redis-2: attach Linode 1002",
      ]
    `);
  });

  it('does not resize, move or delete, but says so', () => {
    const live = with1001({ type: 'g6-standard-1', region: 'nl-ams' });
    const stranger = {
      ...live.instances[0],
      id: 2000,
      label: 'firedrill-lab-app-9',
      tags: ['firedrill', 'env:lab', 'node:app-9'],
    };
    const plan = planProvision(environment, {
      ...live,
      instances: [...live.instances, stranger as Live['instances'][number]],
      addresses: new Map([[1002, '198.18.0.99']]),
    });
    expect(changes(plan)).toBe(false);
    expect(plan.warnings.map((warning) => `${warning.what}. ${warning.fix}`)).toMatchInlineSnapshot(`
      [
        "redis-1 is a g6-standard-1, the environment says g6-nanode-1. Resize Linode 1001 in the Cloud Manager, one node at a time, or correct the environment file",
        "redis-1 is in nl-ams, the environment says lab-1. Migrate Linode 1001, or correct linode.region",
        "redis-2 has the VPC address 198.18.0.99, the environment says 198.18.0.12. Correct the address in the environment file, or delete Linode 1002 and run provision again",
        "the environment no longer names firedrill-lab-app-9 (Linode 2000); it is left alone and costs money. Delete it in the Cloud Manager when nothing needs it, or name it in the environment file again",
      ]
    `);
  });

  it('says so where a load balancer is not in the VLAN in which it shares an address', () => {
    const told = (vlans: Live['vlans']) =>
      planProvision(environment, { ...complete(), vlans }).warnings.map(({ what, fix }) => `${what}. ${fix}`);
    expect(told(complete().vlans)).toEqual([]);
    const [id = 0] = complete().vlans.keys();
    expect(told(new Map([...complete().vlans].filter(([other]) => other !== id)))).toEqual([
      `lb-1 is in no VLAN, the environment says firedrill-lab 192.0.2.41/24. Add that VLAN as eth2 of Linode ${id} in the Cloud Manager and reboot it, or delete it and run provision again; one load balancer at a time`,
    ]);
    expect(told(new Map([...complete().vlans, [id, 'other 192.0.2.41/24']]))[0]).toContain('is other 192.0.2.41/24');
  });

  it('stops where the network cannot be made to fit', () => {
    const vpc = { id: 1, region: 'lab-1', subnets: [{ id: 2, ipv4: '10.0.0.0/24' }] };
    expect(() => planProvision(environment, { ...empty, vpc })).toThrow(
      /has the subnet 10.0.0.0\/24, but network.subnet is/,
    );
    expect(() => planProvision(environment, { ...empty, vpc: { ...vpc, region: 'de' } })).toThrow(/is in de/);
  });

  it('is told in the job summary', () => {
    expect(
      summaryMarkdown(planProvision(environment, empty), undefined, false).split('\n').slice(0, 6),
    ).toMatchInlineSnapshot(`
      [
        "### Provision: lab (plan only)",
        "",
        "| node | roles | Linode | private | public | done |",
        "|---|---|---|---|---|---|",
        "| redis-1 | redis |  | 198.18.0.11 |  | create |",
        "| redis-2 | redis |  | 198.18.0.12 |  | create |",
      ]
    `);
  });

  it('has a firewall that Linode accepts: ports only where the protocol has them, everything else dropped', () => {
    const rules = firewallRules(environment);
    expect(rules.inbound_policy).toBe('DROP');
    expect(rules.inbound.length).toBeLessThanOrEqual(25);
    for (const rule of rules.inbound) expect(rule.ports === undefined).toBe(rule.protocol === 'ICMP');
  });
});

describe('user data', () => {
  const template = readFileSync(userDataTemplate, 'utf8');
  const node = environment.nodes[0];
  const render = (text = template, given = environment) =>
    renderUserData(text, given, node ?? expect.fail(), fleetSecret).reveal();

  it('is a cloud-config with the name, the pinned host key and a deploy user that only keys open', () => {
    const text = render();
    expect(text.startsWith('#cloud-config\n')).toBe(true);
    const config = parse(text);
    expect(config).toMatchObject({ hostname: 'redis-1', ssh_deletekeys: true, ssh_pwauth: false, disable_root: true });
    expect(config.ssh_keys.ed25519_private).toBe(deriveHostKey(fleetSecret, 'lab', 'redis-1').privateKey.reveal());
    expect(config.users).toEqual([
      expect.objectContaining({
        name: 'deploy',
        lock_passwd: true,
        sudo: 'ALL=(ALL) NOPASSWD:ALL',
        ssh_authorized_keys: [deriveDeployKey(fleetSecret, 'lab').publicLine],
      }),
    ]);
  });

  it('knows every node by name, and sshd on the port of the environment', () => {
    const { write_files: files } = parse(render(template, { ...environment, ssh: { ...environment.ssh, port: 2222 } }));
    const [sshd, hosts] = files as { path: string; content: string }[];
    expect(sshd?.content).toContain('Port 2222\n');
    expect(hosts?.content.split('\n')).toEqual([
      '127.0.0.1 localhost',
      '::1 localhost ip6-localhost ip6-loopback',
      ...environment.nodes.map((each) => `${each.address} ${each.name}`),
      '',
    ]);
  });

  it('holds no other secret', () => {
    const text = render();
    expect(text).not.toContain(fleetSecret.reveal());
    for (const purpose of ['redis', 'sentinel']) {
      expect(text).not.toContain(derivePassword(fleetSecret, 'lab', purpose).reveal());
    }
    for (const line of deriveDeployKey(fleetSecret, 'lab').privateKey.reveal().split('\n').slice(2, -2)) {
      expect(text).not.toContain(line);
    }
  });

  it('leaves room within what Linode takes for a fleet of thirty', () => {
    const nodes = Array.from({ length: 30 }, (_, index) => ({ ...environment.nodes[0], name: `node-${index}` }));
    expect(() => render(template, { ...environment, nodes: nodes as typeof environment.nodes })).not.toThrow();
  });

  it('too long for Linode is refused here', () => {
    const authorizedKeys = Array.from({ length: 200 }, (_, index) => `ssh-ed25519 ${'A'.repeat(68)} ${index}`);
    const large = { ...environment, ssh: { ...environment.ssh, authorizedKeys } };
    expect(() => render(template, large)).toThrow(/Linode takes 16384/);
  });

  it('with an unknown variable names template and line', () => {
    expect(() => render('#cloud-config\nhostname: {{ nodes.nme }}\n')).toThrow(
      /configs\/cloud-init\/user-data.yaml:2: undefined variable/,
    );
    expect(() => render('#cloud-config\nhostname: {{ nme }}\n')).toThrow(/user-data.yaml:2: undefined variable: nme/);
    expect(() => render('#cloud-config\n\n{% if %}\n')).toThrow(/user-data.yaml:3/);
  });
});

describe('a machine that is waited for', () => {
  const running = instances(environment)[0] ?? expect.fail();
  const event = (status: 'started' | 'finished' | 'failed') => ({
    action: 'linode_boot' as const,
    status,
    message: 'no room',
  });

  it.each([
    ['is up when it runs and nothing is under way', { ...running }, event('finished'), 'running'],
    ['is up when its events are too old to be listed', { ...running }, undefined, 'running'],
    ['is not up while an operation runs', { ...running }, event('started'), undefined],
    ['is off when it is off and nothing is under way', { ...running, status: 'offline' as const }, undefined, 'off'],
    ['is on its way while it boots', { ...running, status: 'booting' as const }, undefined, undefined],
  ])('%s', (_, instance, newest, verdict) => {
    expect(judge({ instance, event: newest })).toBe(verdict);
  });

  it('fails with the reason that Linode gives', () => {
    const verdict = judge({ instance: { ...running, status: 'offline' }, event: event('failed') });
    expect(String(verdict)).toContain('linode_boot failed: no room');
    expect(String(judge({ instance: undefined, event: undefined }))).toContain('the Linode is gone');
  });
});

describe('the inputs', () => {
  const given = { environment: 'lab', 'linode-token': 't', secret: 'x'.repeat(32), mode: '' };
  const read = (change: Partial<typeof given>) => readInputs((name) => ({ ...given, ...change })[name]);

  it('are those of action.yml', () => {
    const action = parse(readFileSync('actions/provision/action.yml', 'utf8'));
    expect(Object.keys(action.inputs)).toEqual([...inputNames]);
    expect(Object.keys(action.outputs)).toEqual([...outputNames]);
    expect(action.runs).toEqual({ using: 'node24', main: 'dist/index.js' });
  });

  it('default to apply', () => expect(read({}).mode).toBe('apply'));

  it.each([
    [{ environment: '' }, /input environment: is missing/],
    [{ environment: '../x' }, /no name of an environment/],
    [{ mode: 'destroy' }, /Use apply or plan/],
    [{ secret: '' }, /FIREDRILL_SECRET/],
    [{ secret: 'short' }, /has 5 characters. Use at least 32/],
    [{ 'linode-token': '' }, /LINODE_TOKEN/],
  ])('%j are refused with what to do', (change, message) => {
    expect(() => read(change)).toThrow(message);
  });
});
