import { retriesOf } from '../haproxy.ts';
import type { Environment, EnvironmentNode } from './schema.ts';
import { sharedChecks } from './shared-checks.ts';

/** A mistake at a place in the document, with the fix. */
export interface Mistake {
  readonly path: readonly (string | number)[];
  readonly what: string;
  readonly fix: string;
}

/** What could be parsed: sections with mistakes of their own are missing; a node that could not be parsed is undefined. */
export interface ParsedSections extends Partial<Omit<Environment, 'nodes'>> {
  readonly nodes?: readonly (EnvironmentNode | undefined)[];
  /** Whether haproxy.shared is written, with mistakes or without. */
  readonly isShared?: boolean;
}

/** The rules that span several keys. Pure; says all that is wrong, not the first. */
export function crossChecks(parsed: ParsedSections): Mistake[] {
  const nodes = (parsed.nodes ?? []).flatMap((node, index) => (node === undefined ? [] : [{ node, index }]));
  const complete = parsed.nodes?.every((node) => node !== undefined) ?? false;
  // A node that could not be read might have had the role or the mark that seems to be missing.
  return [
    ...duplicates(nodes, 'name', 'Give each node its own name'),
    ...duplicates(nodes, 'address', 'Give each node its own address'),
    ...duplicates(nodes, 'vlanAddress', 'Give each node its own address'),
    ...outsideSubnet(nodes, parsed.network?.subnet),
    ...sharedChecks(nodes, parsed, complete),
    ...misplacedPrimary(nodes),
    ...tooFewScrapes(parsed.monitor),
    ...(complete
      ? fleetChecks(
          nodes.map(({ node }) => node),
          parsed,
        )
      : []),
  ];
}

export type Indexed = { readonly node: EnvironmentNode; readonly index: number };

function duplicates(nodes: readonly Indexed[], key: 'name' | 'address' | 'vlanAddress', fix: string): Mistake[] {
  return nodes.flatMap(({ node, index }, position) => {
    const first = nodes.slice(0, position).find((other) => other.node[key] === node[key]);
    if (node[key] === undefined || first === undefined) return [];
    return [{ path: ['nodes', index, key], what: `${key} ${node[key]} is already used by nodes[${first.index}]`, fix }];
  });
}

function outsideSubnet(nodes: readonly Indexed[], subnet: string | undefined): Mistake[] {
  if (subnet === undefined) return [];
  return nodes
    .filter(({ node }) => !contains(subnet, node.address))
    .map(({ node, index }) => ({
      path: ['nodes', index, 'address'],
      what: `address ${node.address} is not a host address of network.subnet ${subnet}`,
      fix: `Use a free address inside ${subnet}; its first one and its last belong to the network`,
    }));
}

function misplacedPrimary(nodes: readonly Indexed[]): Mistake[] {
  return nodes
    .filter(({ node }) => node.primary && !node.roles.includes('redis'))
    .map(({ node, index }) => ({
      path: ['nodes', index, 'primary'],
      what: `${node.name} is marked primary but has no redis role`,
      fix: 'Mark one of the redis nodes',
    }));
}

/** The windows of the rules hold several scrapes, or what is normal would look like a fault. */
function tooFewScrapes(monitor: ParsedSections['monitor']): Mistake[] {
  if (monitor === undefined) return [];
  const { rules, scrapeIntervalMs, nodeScrapeIntervalMs } = monitor;
  const least = {
    twoPrimariesForMs: 3 * scrapeIntervalMs,
    rateWindowMs: 4 * Math.max(scrapeIntervalMs, nodeScrapeIntervalMs),
  };
  return Object.entries(least).flatMap(([key, leastMs]) => {
    const value = rules[key as keyof typeof least];
    if (value >= leastMs) return [];
    const what = `monitor.rules.${key} ${value} is too short for what is scraped every ${scrapeIntervalMs} and ${nodeScrapeIntervalMs} ms`;
    return [{ path: ['monitor', 'rules', key], what, fix: `Use at least ${leastMs}` }];
  });
}

function fleetChecks(nodes: readonly EnvironmentNode[], parsed: ParsedSections): Mistake[] {
  const having = (role: string) => nodes.filter((node) => node.roles.some((each) => each === role)).length;
  const mistakes: Mistake[] = [];
  const needed = { redis: 2, sentinel: 3, app: 1, lb: 1, monitor: 1 };
  for (const [role, least] of Object.entries(needed)) {
    if (having(role) >= least) continue;
    const what = having(role) === 0 ? `no node has the role ${role}` : `only ${having(role)} node has the role ${role}`;
    mistakes.push({ path: ['nodes'], what, fix: `Give the role ${role} to at least ${least}` });
  }
  const primaries = nodes.filter((node) => node.primary && node.roles.includes('redis')).length;
  if (primaries !== 1) {
    mistakes.push({
      path: ['nodes'],
      what: `${primaries} redis nodes are marked primary`,
      fix: 'Mark exactly one redis node with `primary: true`; Sentinel decides after the first start',
    });
  }
  mistakes.push(...quorumChecks(having('sentinel'), parsed), ...paceChecks(parsed), ...memoryChecks(parsed));
  const replicas = having('redis') - 1;
  if (parsed.app !== undefined && parsed.app.durability !== 'async' && parsed.app.replicasRequired > replicas) {
    mistakes.push({
      path: ['app', 'replicasRequired'],
      what: `writes wait for ${parsed.app.replicasRequired} replicas but there are only ${replicas}`,
      fix: `Use at most ${replicas}`,
    });
  }
  return mistakes;
}

/** Of Sentinel's own timer, which runs ten times a second, and of an answer (ms). */
const sentinelTickMs = 200;

/** After a failover a Sentinel may have to wait for its next try to reach the new primary, and must not suspect it meanwhile. */
function paceChecks({ sentinel }: ParsedSections): Mistake[] {
  const least = (sentinel?.pingMs ?? 0) + sentinelTickMs;
  if (sentinel === undefined || sentinel.downAfterMs >= least) return [];
  const what = `with pingMs ${sentinel.pingMs} a Sentinel may suspect a new primary before it has reached it, and replace it`;
  return [{ path: ['sentinel', 'downAfterMs'], what, fix: `Use at least ${least}, or a smaller pingMs` }];
}

/** A write that comes again must be known still: HAProxy sends it again for so long, and the service may hold the last one. */
function memoryChecks({ app, haproxy }: ParsedSections): Mistake[] {
  if (app === undefined || haproxy === undefined) return [];
  const { holdMs, requestIdTtlS } = app;
  const longestMs =
    (retriesOf(holdMs, haproxy.responseTimeoutMs) + 1) * (haproxy.responseTimeoutMs + haproxy.connectTimeoutMs) +
    holdMs;
  if (requestIdTtlS * 1000 > longestMs) return [];
  const what = `a request may be sent again for ${longestMs} ms, and its id is forgotten after ${requestIdTtlS} s: it could be applied twice`;
  const fix = `Use more than ${Math.ceil(longestMs / 1000)}, or a smaller haproxy.responseTimeoutMs`;
  return [{ path: ['app', 'requestIdTtlS'], what, fix }];
}

function quorumChecks(sentinels: number, parsed: ParsedSections): Mistake[] {
  const quorum = parsed.sentinel?.quorum;
  if (quorum === undefined || sentinels === 0) return [];
  const majority = Math.floor(sentinels / 2) + 1;
  if (quorum > sentinels) {
    return [
      {
        path: ['sentinel', 'quorum'],
        what: `quorum ${quorum} can never be reached by ${sentinels} Sentinels`,
        fix: `Use ${majority}, their majority`,
      },
    ];
  }
  if (sentinels - quorum < sentinels - majority) {
    return [
      {
        path: ['sentinel', 'quorum'],
        what: `quorum ${quorum} of ${sentinels} Sentinels is more than a majority: losing ${sentinels - quorum + 1} of them, whom a majority could spare, stops every failover`,
        fix: `Use ${majority}`,
      },
    ];
  }
  return [];
}

/** Whether a host address lies in an IPv4 subnet. Linode keeps the first address (the network), the second (its gateway) and the last. */
export function contains(subnet: string, address: string): boolean {
  const [base = '', bits = '32'] = subnet.split('/');
  const size = 2 ** (32 - Number(bits));
  const start = Math.floor(toNumber(base) / size) * size;
  const offset = toNumber(address) - start;
  return offset > 1 && offset < size - 1;
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
