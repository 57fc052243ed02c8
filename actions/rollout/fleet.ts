import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { type Ssh, shellQuote } from '../core/ssh.ts';
import { unitsOf } from '../core/units.ts';
import { type NodeFacts, parseFacts } from './facts.ts';
import type { Release } from './release-types.ts';

/** A node that we are connected to. */
export interface Member {
  readonly node: EnvironmentNode;
  readonly ssh: Ssh;
  /** Another connection, which the caller closes. */
  readonly again: () => Promise<Ssh>;
}

/** All nodes of an environment, by name, in its order. */
export type Fleet = ReadonlyMap<string, Member>;

/** Scripts of actions/rollout/node, which the bundler copies beside the bundle. */
export function nodeScript(name: string): Buffer {
  return readFileSync(new URL(`./node/${name}`, import.meta.url));
}

/**
 * What a node has and does. With a release also what it has of it, with `any` all that it could go back to; with `state` which releases
 * there are; without, only what it does (a gate's probe). One command.
 */
export async function readFacts(
  environment: Environment,
  member: Member,
  release?: Release,
  digest: string = release?.digest ?? '-',
): Promise<NodeFacts> {
  const { node, ssh } = member;
  const has = (role: EnvironmentNode['roles'][number]) => node.roles.includes(role);
  const args = [
    digest,
    release === undefined ? list(unitsOf(environment, node)) : list(release.units),
    release === undefined ? '-' : list(release.packages.map((each) => each.name)),
    has('redis') ? String(environment.redis.port) : '-',
    has('sentinel') ? String(environment.sentinel.port) : '-',
    environment.sentinel.masterName,
    has('lb') ? 'haproxy' : '-',
    healthUrl(environment, node),
    (has('lb') && environment.haproxy.shared?.address) || '-',
    // Nothing that the node prints can be taken for it.
    randomBytes(8).toString('hex'),
  ];
  const command = ['sudo', '-n', 'sh', '-s', '--', ...args].map(shellQuote).join(' ');
  const timeoutMs = Math.min(environment.ssh.commandTimeoutMs, 20_000);
  const result = await ssh.exec(command, { stdin: nodeScript('facts.sh').toString(), openStdin: true, timeoutMs });
  try {
    return parseFacts(node.name, result.stdout);
  } catch (error) {
    throw new FiredrillError({
      code: 'remote',
      node: node.name,
      phase: 'facts',
      what: `${messageOf(error)} (exit code ${result.code}) ${result.stderr.slice(-300)}`.trim(),
      fix: 'Check that the deploy user may use sudo without a password there',
    });
  }
}

function list(words: readonly string[]): string {
  return words.length === 0 ? '-' : words.join(',');
}

function healthUrl(environment: Environment, node: EnvironmentNode): string {
  if (node.roles.includes('app') && environment.haproxy.mode === 'http')
    return `http://${node.address}:${environment.app.port}/healthz`;
  if (node.roles.includes('monitor')) return `http://${node.address}:${environment.monitor.port}/-/ready`;
  return '-';
}

/** A picture of these nodes, or of all, at one moment; a node that did not answer is absent. */
export async function readFleet(
  environment: Environment,
  fleet: Fleet,
  names: Iterable<string> = fleet.keys(),
  digest?: 'state',
): Promise<Map<string, NodeFacts>> {
  const members = [...new Set(names)].flatMap((name) => fleet.get(name) ?? []);
  const told = await Promise.allSettled(members.map((member) => readFacts(environment, member, undefined, digest)));
  return new Map(told.flatMap((each) => (each.status === 'fulfilled' ? [[each.value.node, each.value] as const] : [])));
}
