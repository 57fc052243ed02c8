import type { Environment } from '../core/environment/schema.ts';
import type { NodeFacts } from './facts.ts';

export interface NodeStatus {
  readonly node: string;
  readonly roles: readonly string[];
  readonly address: string;
  readonly reachable: boolean;
  /** Which release stands there, who works on it, and what waits for a confirmation. */
  readonly release: string | undefined;
  /** Unit to systemd's words, e.g. `active (running)`. */
  readonly units: Readonly<Record<string, string>>;
  /** `primary`, or `replica of NODE`. */
  readonly redis: string | undefined;
  /** Bytes that a replica lacks, as the primary counts. */
  readonly lagBytes: number | undefined;
  /** What the Sentinel here says. */
  readonly sentinel: string | undefined;
  /** What each HAProxy thinks of an app, or of all its apps. */
  readonly haproxy: string | undefined;
  /** Of a load balancer that has the shared address. */
  readonly holds: string | undefined;
}

/** Every node as it is. Pure. */
export function fleetStatus(environment: Environment, facts: ReadonlyMap<string, NodeFacts>): NodeStatus[] {
  const nameOf = (address: string) => environment.nodes.find((node) => node.address === address)?.name ?? address;
  const primaries = [...facts.values()].filter((each) => each.redis?.role === 'primary');
  return environment.nodes.map((node) => {
    const own = facts.get(node.name);
    const primary = primaries.find((each) => each.redis?.replicas.some((replica) => replica.address === node.address));
    const replica = own?.redis?.follows;
    const seen = primary?.redis?.replicas.find((each) => each.address === node.address);
    const view = own?.sentinel;
    return {
      node: node.name,
      roles: node.roles,
      address: node.address,
      reachable: own !== undefined,
      release: own === undefined ? undefined : releaseView(own),
      units: Object.fromEntries(
        Object.entries(own?.units ?? {}).map(([name, unit]) => [name, `${unit.active} (${unit.sub})`]),
      ),
      redis:
        own?.redis === undefined
          ? undefined
          : replica === undefined
            ? 'primary'
            : `replica of ${nameOf(replica.address)}${replica.linkUp ? '' : ', link down'}`,
      lagBytes: seen === undefined ? undefined : Math.max(0, (primary?.redis?.offset ?? 0) - seen.offset),
      sentinel:
        view === undefined
          ? undefined
          : `primary is ${nameOf(view.primary.host)} (${view.flags.join()}), ${view.otherSentinels.length} others, ${view.quorumOk ? 'quorum' : view.quorumMessage}`,
      haproxy: haproxyView(node.name, node.roles.includes('lb'), own, facts),
      holds: own?.holdsShared ? `holds ${environment.haproxy.shared?.address}` : undefined,
    };
  });
}

function releaseView({ current, pending, lease, bad }: NodeFacts): string {
  const short = current?.slice(0, 12) ?? 'none';
  const waits =
    pending === undefined ? '' : `, unconfirmed for ${Math.ceil(Math.max(0, pending.leftMs) / 1000)} s more`;
  const held = lease === undefined ? '' : `, held by run ${lease.run} (${lease.who})`;
  const refused = Object.keys(bad).length;
  return `release ${short}${waits}${held}${refused === 0 ? '' : `, ${refused} refused`}`;
}

function haproxyView(
  node: string,
  isLb: boolean,
  own: NodeFacts | undefined,
  facts: ReadonlyMap<string, NodeFacts>,
): string | undefined {
  const servers = (each: NodeFacts) => (each.haproxy ?? []).filter((server) => server.backend === 'app');
  if (isLb)
    return own === undefined
      ? undefined
      : servers(own)
          .map((server) => `${server.server} ${server.status}`)
          .join(', ');
  const views = [...facts.values()].flatMap((each) =>
    servers(each)
      .filter((server) => server.server === node)
      .map((server) => `${each.node}: ${server.status}`),
  );
  return views.length === 0 ? undefined : views.join(', ');
}

/** The same as a table of text. Pure. */
export function statusTable(nodes: readonly NodeStatus[]): string {
  const rows = nodes.map((node) => [
    node.node,
    node.roles.join('+'),
    node.address,
    node.reachable
      ? Object.entries(node.units)
          .map(([name, state]) => `${name} ${state}`)
          .join(', ')
      : 'unreachable',
    node.release ?? '',
    [
      node.redis,
      node.lagBytes === undefined ? undefined : `lag ${node.lagBytes} B`,
      node.sentinel,
      node.haproxy,
      node.holds,
    ]
      .filter((part) => part !== undefined)
      .join(', '),
  ]);
  const all = [['NODE', 'ROLES', 'ADDRESS', 'UNITS', 'RELEASE', 'STATE'], ...rows];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
