import { readFileSync } from 'node:fs';
import { sleep, until } from '../../actions/core/deadline.ts';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { nodesOf } from '../../actions/core/environment/nodes.ts';
import type { EnvironmentNode, Role } from '../../actions/core/environment/schema.ts';
import { shellQuote } from '../../actions/core/ssh.ts';
import { clone } from '../lab/paths.ts';
import { runInside } from './lab-command.ts';

/** What the lab is deployed by. */
export const environment = loadEnvironment(`${clone}/environments/lab.yaml`);

/** A command of root's on a node; what it said. Throws when it fails. */
export async function onNode(node: string, command: string): Promise<string> {
  const { code, output } = await runInside(['ssh', node, `sudo sh -c ${shellQuote(command)}`], 30_000);
  if (code !== 0) throw new Error(`${node}: ${output}`);
  return output.trim();
}

/** The same on all nodes of a role, at the same time: each node with what it said. */
export async function onEach(role: Role, command: string): Promise<{ node: EnvironmentNode; said: string }[]> {
  const asked = nodesOf(environment, role).map(async (node) => ({ node, said: await onNode(node.name, command) }));
  return await Promise.all(asked);
}

/** A shell command for a node: redis-cli with the password of that file; `before` is another command that runs it. */
export function redisCli(file: string, args: string, before = ''): string {
  return `REDISCLI_AUTH=$(awk '$1 == "requirepass" { print $2 }' /etc/redis/${file}) ${before} redis-cli ${args}`;
}

export const toRedis = (args: string, before?: string) =>
  redisCli('firedrill.conf', `-p ${environment.redis.port} ${args}`, before);
export const toSentinel = (args: string) =>
  redisCli('firedrill-sentinel.conf', `-p ${environment.sentinel.port} ${args}`);

/** Names and values that redis-cli prints in turn, a line each. Pure. */
export function pairs(text: string): Record<string, string> {
  const lines = text.split('\n').map((line) => line.trim());
  return Object.fromEntries(lines.flatMap((line, at) => (at % 2 === 0 ? [[line, lines[at + 1] ?? '']] : [])));
}

/** The Redis nodes with their roles: `master` or `slave`. */
export async function redisRoles(): Promise<{ node: EnvironmentNode; role: string }[]> {
  const answers = await onEach('redis', toRedis('ROLE'));
  return answers.map(({ node, said }) => ({ node, role: said.split('\n')[0] ?? '' }));
}

/** A fault on a node that ends by itself: one of the drill's scripts, as it is in this work tree. */
export async function disturb(node: string, script: 'net.sh' | 'freeze.sh', ...words: string[]): Promise<void> {
  const text = readFileSync(`${clone}/actions/drill/node/${script}`, 'utf8');
  await onNode(node, `sh -c ${shellQuote(text)} ${[script, ...words].join(' ')}`);
}

/** nft's rules for `statement` on what comes from these addresses, for so long: the kernel itself ends it. */
export function rulesFor(ms: number, addresses: readonly string[], statement: string): string {
  const elements = addresses.map((address) => `${address} timeout ${ms}ms`).join(', ');
  return `nft 'table inet settings; delete table inet settings; table inet settings {
    set those { type ipv4_addr; flags timeout; elements = { ${elements} }; }
    chain in { type filter hook input priority 0; ip saddr @those ${statement}; }
  }'`;
}

/** Waits until `status` has nothing to say against the fleet. */
export async function settled(): Promise<void> {
  const want: [RegExp, number][] = [
    [/inactive|failed|unreachable|link down/g, 0],
    [/primary$/gm, 1],
    [/replica of redis-\d, lag \d+ B/g, 2],
    [/2 others, quorum/g, 3],
    [/lb-1: UP, lb-2: UP/g, 2],
    [/ holds [\d.]+$/gm, 1],
  ];
  const whole = async () => {
    const { output } = await runInside(['status']);
    const wrong = want.find(([pattern, count]) => (output.match(pattern) ?? []).length !== count);
    if (wrong !== undefined) throw new Error(`not ${wrong[1]} times ${wrong[0]}:\n${output}`);
    return true;
  };
  await until(whole, { timeoutMs: 30_000, intervalMs: 300, what: 'the fleet to be whole' });
  await sleep(300);
}
