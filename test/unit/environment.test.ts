import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contains } from '../../actions/core/environment/checks.ts';
import { EnvironmentError, loadEnvironment, parseEnvironment } from '../../actions/core/environment/load.ts';
import { initialPrimary, nodesOf } from '../../actions/core/environment/nodes.ts';

const labText = readFileSync('environments/lab.yaml', 'utf8');

/** The mistakes that a change of lab.yaml makes, as `line:column what. fix`. */
function mistakesAfter(...changes: [string | RegExp, string][]): string[] {
  const text = changes.reduce((each, [from, to]) => {
    const changed = each.replace(from, to);
    if (changed === each) throw new Error(`nothing to change: ${from}`);
    return changed;
  }, labText);
  try {
    parseEnvironment(text, 'environments/lab.yaml');
  } catch (error) {
    if (error instanceof EnvironmentError) {
      return error.mistakes.map((each) => `${each.line}:${each.column} ${each.what}. ${each.fix}`);
    }
    throw error;
  }
  return [];
}

/** Where a text first stands in lab.yaml, as `line:column`, counted by hand of the parser. */
function placeOf(needle: string): string {
  const before = labText.slice(0, labText.indexOf(needle)).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

describe('the environment files', () => {
  // Whoever forks describes other machines there; only the lab's are the tests' own.
  it.each(readdirSync('environments').filter((file) => file.endsWith('.yaml')))('%s is valid', (file) => {
    const environment = loadEnvironment(`environments/${file}`);
    expect(`${environment.name}.yaml`).toBe(file);
    expect(nodesOf(environment, 'redis')).toContain(initialPrimary(environment));
  });

  it('the lab has the reference topology', () => {
    const environment = loadEnvironment('environments/lab.yaml');
    const sizes = (['redis', 'sentinel', 'app', 'lb', 'monitor'] as const).map(
      (role) => nodesOf(environment, role).length,
    );
    expect(sizes).toEqual([3, 3, 2, 2, 1]);
    expect(initialPrimary(environment).name).toBe('redis-1');
  });
});

const shared = '  shared: { protocol: vrrp, address: 192.0.2.40, hungAfterMs: 800 }\n';
const secondBalancer = / {2}- \{ name: lb-2.*\n/;
const sharedCases: [string, [string | RegExp, string][], RegExp][] = [
  [
    'two load balancers that share nothing',
    [[shared, '']],
    /lb-1, lb-2 have the role lb and share no address.*Set haproxy\.shared.*BGP, is not supported/,
  ],
  [
    'a load balancer that shares with nobody',
    [[secondBalancer, '']],
    /shared by exactly two load balancers, and lb-1 has the role lb\. Give the role lb to two nodes/,
  ],
  [
    'a scenario that kills the only load balancer',
    [
      [shared, ''],
      [secondBalancer, ''],
    ],
    /lb-kill needs two load balancers that share an address, and here is only one/,
  ],
  [
    'an address that would move by BGP',
    [['protocol: vrrp', 'protocol: bgp']],
    /haproxy\.shared\.protocol is "bgp"\. .*vrrp.*BGP, is not supported/,
  ],
  [
    'a shared address without a VLAN',
    [[/ {2}vlan: .*\n/, '']],
    /there is no VLAN for VRRP to move the address in\. Set network\.vlan\. .*BGP/,
  ],
  ['a shared address that a node has', [['address: 192.0.2.40', 'address: 192.0.2.41']], /192\.0\.2\.41 is lb-1's own/],
  [
    'a shared address outside the VLAN',
    [['address: 192.0.2.40', 'address: 198.18.0.40']],
    /198\.18\.0\.40 is not a host address of network\.vlan\.subnet 192\.0\.2\.0\/24/,
  ],
  [
    'a load balancer that is not in the VLAN',
    [[', vlanAddress: 192.0.2.42', '']],
    /lb-2 shares an address in network\.vlan and has no vlanAddress/,
  ],
  [
    'a VLAN address outside the VLAN',
    [['vlanAddress: 192.0.2.42', 'vlanAddress: 192.0.3.42']],
    /vlanAddress 192\.0\.3\.42 is not a host address/,
  ],
  [
    'a VLAN with addresses of the VPC',
    [['subnet: 192.0.2.0/24', 'subnet: 198.18.0.0/16']],
    /network\.vlan\.subnet 198\.18\.0\.0\/16 has addresses of network\.subnet/,
  ],
];

describe('a mistake in an environment file is reported with its place and its fix', () => {
  const cases: [string, [string | RegExp, string][], RegExp][] = [
    ['an unknown key', [['quorum: 2', 'quorun: 2']], /unknown key sentinel\.quorun\. Did you mean quorum\?/],
    ['an unknown section', [['sentinel:\n', 'sentinels:\n']], /unknown key sentinels\. Did you mean sentinel\?/],
    [
      'a duplicate name',
      [['redis-2,', 'redis-1,']],
      /name redis-1 is already used by nodes\[0\]\. Give each node its own name/,
    ],
    ['a duplicate address', [['198.18.0.12', '198.18.0.11']], /address 198\.18\.0\.11 is already used/],
    [
      'a quorum above the number of Sentinels',
      [['quorum: 2', 'quorum: 4']],
      /quorum 4 can never be reached by 3 Sentinels\. Use 2/,
    ],
    [
      'a quorum above the majority',
      [['quorum: 2', 'quorum: 3']],
      /quorum 3 of 3 Sentinels is more than a majority.*Use 2/,
    ],
    [
      'a primary suspected before it could be reached',
      [['downAfterMs: 700', 'downAfterMs: 450']],
      /with pingMs 300 a Sentinel may suspect a new primary.*Use at least 500, or a smaller pingMs/,
    ],
    [
      'a write that is forgotten while it may still come again',
      [['holdMs: 4000', 'holdMs: 4000\n  requestIdTtlS: 15']],
      /a request may be sent again for 19750 ms, and its id is forgotten after 15 s.*Use more than 20/,
    ],
    ['pings too dense for an election', [['pingMs: 300', 'pingMs: 200']], /asks them once a second/],
    [
      'a rate over too few scrapes',
      [['rateWindowMs: 20000', 'rateWindowMs: 2000']],
      /monitor\.rules\.rateWindowMs 2000 is too short.*Use at least 20000/,
    ],
    ['no primary', [[', primary: true', '']], /0 redis nodes are marked primary\. Mark exactly one/],
    ['two primaries', [['198.18.0.12 }', '198.18.0.12, primary: true }']], /2 redis nodes are marked primary/],
    [
      'a primary that is no Redis',
      [['198.18.0.31 }', '198.18.0.31, primary: true }']],
      /app-1 is marked primary but has no redis role/,
    ],
    [
      'an address outside the subnet',
      [['198.18.0.13', '198.18.1.13']],
      /198\.18\.1\.13 is not a host address of network\.subnet/,
    ],
    [
      'a role without nodes',
      [[/roles: \[lb\]/g, 'roles: [app]']],
      /no node has the role lb\. Give the role lb to at least 1/,
    ],
    [
      'a bad duration',
      [['downAfterMs: 700', 'downAfterMs: 5s']],
      /sentinel\.downAfterMs is "5s"\. Write whole milliseconds, e\.g\. 1500/,
    ],
    ['a negative duration', [['downAfterMs: 700', 'downAfterMs: -5']], /sentinel\.downAfterMs is -5/],
    ['a missing key', [['  region: lab-1\n', '']], /linode\.region is missing/],
    [
      'a wrong role',
      [['roles: [lb]', 'roles: [bl]']],
      /nodes\[8\]\.roles\[0\] is "bl"\. Use one of redis, sentinel, app, lb, monitor/,
    ],
    ...sharedCases,
    [
      'another name than the file',
      [['name: lab', 'name: prod']],
      /the file is called lab but names the environment prod/,
    ],
    [
      'an unknown scenario',
      [['sentinel-kill, app-kill', 'sentinel-kill, app-kil']],
      /drill\.scenarios\[4\] is "app-kil"/,
    ],
    [
      'a budget for an unknown scenario',
      [['alertOverMs: 4000', 'budgetsMs: { app-kil: 500 }']],
      /unknown key drill\.budgetsMs.*app-kil/,
    ],
    [
      'more replicas required than there are',
      [['durability: replicated', 'replicasRequired: 3']],
      /writes wait for 3 replicas but there are only 2/,
    ],
  ];
  it.each(cases)('%s', (_, changes, expected) => {
    const found = mistakesAfter(...changes);
    expect(found.join('\n')).toMatch(expected);
  });

  it('points at the line and column of the wrong key', () => {
    expect(mistakesAfter(['downAfterMs: 700', 'downAfterMs: 5s'])[0]).toContain(placeOf('downAfterMs: 700'));
    expect(mistakesAfter(['quorum: 2', 'quorun: 2'])[0]).toContain(placeOf('quorum: 2'));
  });

  it('reports every mistake at once, also those that span sections with mistakes of their own', () => {
    const found = mistakesAfter(
      ['downAfterMs: 700', 'downAfterMs: 5s'],
      ['quorum: 2', 'quorum: 4'],
      ['redis-2,', 'redis-1,'],
      ['holdMs: 4000', 'holdMS: 4000'],
      ['198.18.0.13', '198.18.1.13'],
    );
    expect(found).toHaveLength(5);
  });

  it('says where the YAML itself is broken', () => {
    expect(mistakesAfter(['nodes:\n', 'nodes: [\n']).join()).toMatch(/^\d+:\d+ /);
  });

  it('names the file that is not there', () => {
    expect(() => loadEnvironment('environments/nowhere.yaml')).toThrow(
      /environments\/nowhere\.yaml.*ENOENT.*Name a file/,
    );
  });
});

describe('the addresses of a subnet', () => {
  it.each([
    ['10.20.0.0/24', '10.20.0.2', true],
    ['10.20.0.0/24', '10.20.0.0', false],
    ['10.20.0.0/24', '10.20.0.1', false],
    ['10.20.0.0/24', '10.20.0.255', false],
    ['10.20.0.0/24', '10.20.1.7', false],
    ['198.18.0.0/15', '198.19.255.254', true],
  ])('%s holds %s: %s', (subnet, address, expected) => {
    expect(contains(subnet, address)).toBe(expected);
  });
});
