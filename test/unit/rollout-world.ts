import { plainLog } from '../../actions/core/log.ts';
import type { ExecOptions, ExecResult, Ssh } from '../../actions/core/ssh.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { planNode } from '../../actions/rollout/plan.ts';
import { buildReleases, type ReleaseSources } from '../../actions/rollout/release.ts';
import type { Engine } from '../../actions/rollout/state.ts';
import { blank, sources } from './rollout-fixture.ts';
import { fact, told as toldOf } from './rollout-told.ts';

const from = sources();
export const environment = {
  ...from.environment,
  ssh: { ...from.environment.ssh, connectTimeoutMs: 5 },
  rollout: {
    ...from.environment.rollout,
    gateSuccesses: 2,
    gateIntervalMs: 1,
    gateTimeoutMs: 40,
    gateHealthyMs: 1,
    canaryMs: 2,
    progressTimeoutMs: 40,
  },
};
const [primary] = environment.nodes;

/** What a node answers to a command of apply.sh (its words), to HAProxy's socket, or to facts.sh. */
export type Answer = (
  node: string,
  command: string,
  stdin: string,
) => Promise<Partial<ExecResult>> | Partial<ExecResult>;

export interface World extends Engine {
  readonly lines: string[];
  /** `NODE COMMAND WORD...` of each apply.sh, in the order in which they were asked for; `new` before one over a connection of its own. */
  readonly asked: string[];
}

/** An engine whose nodes are `answer`; what it gives nothing for goes well, on a fleet that is well. */
export function world(
  answer: Answer,
  facts: ReadonlyMap<string, NodeFacts>,
  names: readonly string[],
  wanted: ReleaseSources = from,
): World {
  const lines: string[] = [];
  const asked: string[] = [];
  const ssh = (node: string, mark: string): Ssh => ({
    node,
    exec: async (command: string, options: ExecOptions): Promise<ExecResult> => {
      const words = /apply\.sh \w+ (.*)$/.exec(command)?.[1];
      if (words !== undefined) asked.push(`${node} ${mark}${words}`);
      const stdin = String(options.stdin ?? '');
      const given = await answer(node, command, stdin);
      const usual = { code: 0, stdout: words === undefined ? well(node, stdin) : told(words), stderr: '' };
      const result = { ...usual, ...given };
      for (const line of result.stdout.split('\n')) options.onLine?.(line);
      return result;
    },
    forward: () => Promise.reject(new Error('no tunnels here')),
    close: () => {},
  });
  const members = environment.nodes.map((node) => {
    return [node.name, { node, ssh: ssh(node.name, ''), again: async () => ssh(node.name, 'new ') }] as const;
  });
  return {
    environment,
    fleet: new Map(members),
    run: { id: 'run', generation: 1, leaseMs: 1000, who: 'test' },
    reporter: { log: plainLog((line) => lines.push(line)), redact: (text) => text, onPhase: () => {} },
    plans: buildReleases(wanted)
      .filter((release) => names.includes(release.node))
      .map((release) => planNode(release, facts.get(release.node) ?? blank(release.node))),
    facts,
    primary: primary as Engine['primary'],
    signal: new AbortController().signal,
    lines,
    asked,
  };
}

/** A command of apply.sh that went wrong. */
export const failing = (detail: string, phase = 'switch') => ({
  code: 1,
  stdout: [phaseLine('arm', true, ''), phaseLine(phase, false, detail)].join('\n'),
});

export function phaseLine(phase: string, ok: boolean, detail: string): string {
  return JSON.stringify({ phase, ok, ms: 1, detail });
}

function told(words: string): string {
  if (words.startsWith('switch')) return phaseLine('arm', true, '');
  return words.startsWith('revert') ? phaseLine('revert', true, 'back at release old') : '';
}

const stat = '# pxname,svname,scur,qcur,status,check_status\napp,app-1,0,0,UP,L7OK\napp,app-2,0,0,UP,L7OK\n';

/** What facts.sh and HAProxy's socket say on a node that is well. */
export function well(node: string, stdin: string, leader = 'redis-1'): string {
  if (stdin.startsWith('set server')) return '\n';
  if (stdin.startsWith('show')) return stat;
  return toldOf(...factsOf(node, leader), fact('end', ''));
}

function factsOf(node: string, leader: string): string[] {
  if (node.startsWith('lb-')) {
    const held = '1: lo    inet 192.0.2.40/32 scope global lo';
    return [fact('haproxy', stat), fact('shared', node === 'lb-2' ? `${held}\n3: eth2    inet 192.0.2.40/24` : held)];
  }
  if (node.startsWith('redis')) return [fact('redis', redisInfo(node, leader))];
  if (node.startsWith('sentinel')) return [fact('sentinel', sentinelView(node, leader))];
  return [fact('health', node === 'sick' ? '503' : '200')];
}

/** `leader`'s first. */
function addresses(role: 'redis' | 'sentinel', leader: string): string[] {
  const nodes = environment.nodes.filter((each) => each.roles.includes(role));
  return nodes.sort((a, b) => Number(b.name === leader) - Number(a.name === leader)).map((each) => each.address);
}

function redisInfo(node: string, leader: string): string {
  const [first, ...replicas] = addresses('redis', leader);
  if (node !== leader) return `role:slave\r\nmaster_host:${first}\r\nmaster_link_status:up\r\nslave_repl_offset:1\r\n`;
  const lines = replicas.map(
    (address, index) => `slave${index}:ip=${address},port=6379,state=online,offset=1,lag=0\r\n`,
  );
  return `role:master\r\nmaster_repl_offset:1\r\n${lines.join('')}`;
}

function sentinelView(node: string, leader: string): string {
  const own = environment.nodes.find((each) => each.name === node)?.address;
  const [first, ...replicas] = addresses('redis', leader);
  const row = (ip: string, flags: string) => ({
    ip,
    port: '1',
    flags,
    'master-link-status': 'ok',
    'slave-priority': '100',
  });
  const others = addresses('sentinel', leader).filter((address) => address !== own);
  return [
    { ip: first, port: '6379', flags: 'master', quorum: '2' },
    replicas.map((ip) => row(ip, 'slave')),
    others.map((ip) => row(ip, 'sentinel')),
    'OK 3 usable Sentinels',
  ]
    .map((line) => JSON.stringify(line))
    .join('\n');
}
