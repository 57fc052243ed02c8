import { type HaproxyServer, parseHaproxyStat } from '../core/haproxy.ts';
import { parseRedis, type RedisFacts } from '../core/redis.ts';
import { parseSentinelView, type SentinelView } from '../core/sentinel.ts';
import { holdsShared } from '../core/shared-address.ts';
import { type Manifest, parseManifest } from './manifest.ts';
import { type LeaseFacts, parseBad, parseGeneration, parseLease, parseRecord, type RecordFacts } from './records.ts';

/** How a node is, as its facts.sh told. What it could not tell is absent. */
export interface NodeFacts {
  readonly node: string;
  /** Digest of the release that is current; undefined on a node that has none of ours. */
  readonly current: string | undefined;
  /** Per unit the digest of the release that it was last started or reloaded with. */
  readonly running: Readonly<Record<string, string>>;
  /** Installed packages with their exact builds. */
  readonly packages: Readonly<Record<string, string>>;
  readonly units: Readonly<Record<string, UnitFacts>>;
  /** SHA-256 of the current release's files as they lie there now. */
  readonly disk: Readonly<Record<string, string>>;
  /** Manifests of releases on the node that are not the wanted one, by digest, and their texts by `DIGEST PATH`. */
  readonly manifests: Readonly<Record<string, Manifest>>;
  readonly contents: Readonly<Record<string, string>>;
  /** Who may change the node now; undefined when nobody holds it. */
  readonly lease: LeaseFacts | undefined;
  /** The newest run that the node has seen; it refuses older ones. 0 when it has seen none. */
  readonly generation: number;
  /** A release that waits for its confirmation; without it the node goes back by itself. */
  readonly pending: RecordFacts | undefined;
  /** How the release that is current was reached; undefined when there is nothing to go back to. */
  readonly last: RecordFacts | undefined;
  /** Digests that failed here, with the run and the reason. */
  readonly bad: Readonly<Record<string, string>>;
  readonly redis: RedisFacts | undefined;
  readonly sentinel: SentinelView | undefined;
  readonly haproxy: readonly HaproxyServer[] | undefined;
  /** Whether it holds the address that the load balancers share; undefined when it was not asked, or could not tell. */
  readonly holdsShared: boolean | undefined;
  /** Answer of the node's own health URL: 0 when there was none, undefined when it was not asked. */
  readonly health: number | undefined;
}

interface UnitFacts {
  /** systemd's words: active, inactive, failed, activating ... */
  readonly active: string;
  readonly sub: string;
  readonly enabled: string;
  readonly pid: number;
  readonly restarts: number;
  /** Since when, in seconds since 1970; undefined when it is not active. */
  readonly sinceS: number | undefined;
}

interface RawFact {
  readonly name: string;
  readonly code: number;
  readonly out: string;
}

/**
 * What facts.sh printed as facts. Pure. Throws when the last line is missing: the node told only half. The error names what came, and
 * quotes nothing of it: facts hold files with passwords.
 */
export function parseFacts(node: string, output: string): NodeFacts {
  const raw = parseRaw(output);
  if (raw.at(-1)?.name !== 'end')
    throw new Error(`the facts of ${node} end early, after: ${raw.map((fact) => fact.name).join(', ') || 'nothing'}`);
  const good = (name: string) => raw.find((fact) => fact.name === name && fact.code === 0)?.out;
  const any = (name: string) => raw.find((fact) => fact.name === name)?.out;
  const redis = good('redis');
  const sentinel = good('sentinel');
  const haproxy = good('haproxy');
  const shared = good('shared');
  const health = any('health');
  const nowMs = Number(good('time'));
  return {
    node,
    current: good('current'),
    running: pairs(good('running') ?? ''),
    packages: parsePackages(any('packages') ?? ''),
    units: parseUnits(good('units') ?? ''),
    disk: Object.fromEntries(lines(any('files') ?? '').map((line) => [line.slice(66), line.slice(0, 64)])),
    manifests: Object.fromEntries(
      raw
        .filter((fact) => fact.code === 0 && fact.name.startsWith('manifest '))
        .map((fact) => [fact.name.slice(9), parseManifest(fact.out)]),
    ),
    contents: Object.fromEntries(
      raw
        .filter((fact) => fact.code === 0 && fact.name.startsWith('content '))
        .map((fact) => [fact.name.slice(8), fact.out]),
    ),
    lease: parseLease(good('lease'), nowMs),
    generation: parseGeneration(good('lease')),
    pending: parseRecord(good('pending'), nowMs),
    last: parseRecord(good('last'), nowMs),
    bad: parseBad(good('bad') ?? ''),
    redis: redis?.includes('role:') ? parseRedis(redis) : undefined,
    sentinel: sentinel === undefined ? undefined : parseSentinel(sentinel),
    haproxy: haproxy?.startsWith('# ') ? parseHaproxyStat(haproxy) : undefined,
    holdsShared: shared === undefined ? undefined : holdsShared(shared),
    health: health === undefined ? undefined : Number.parseInt(health.slice(-3), 10) || 0,
  };
}

/** As facts.sh writes them, with its first line between them. One that was cut off is none. */
function parseRaw(output: string): RawFact[] {
  const [mark = ''] = output.split('\n', 1);
  if (mark === '') return [];
  return output.split(`\n${mark} `).flatMap((part) => {
    const [body = '', end = ''] = part.split(`\n${mark}:`);
    const code = Number.parseInt(end, 10);
    if (Number.isNaN(code)) return [];
    const name = body.split('\n', 1)[0] ?? '';
    return [{ name, code, out: body.slice(name.length + 1).replace(/\n+$/, '') }];
  });
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function pairs(text: string): Record<string, string> {
  return Object.fromEntries(lines(text).map((line) => line.split(' ', 2)));
}

function parsePackages(text: string): Record<string, string> {
  const installed = lines(text).map((line) => line.split(' '));
  return Object.fromEntries(
    installed.filter(([status]) => status === 'installed').map(([, name = '', version = '']) => [name, version]),
  );
}

/** systemctl show's blocks of KEY=VALUE, one a unit. Pure. */
function parseUnits(text: string): Record<string, UnitFacts> {
  const blocks = text.split(/\n\s*\n/).map((block) => {
    const fields = new Map(
      lines(block).map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
    );
    const since = /^@(\d+)/.exec(fields.get('ActiveEnterTimestamp') ?? '')?.[1];
    const unit: UnitFacts = {
      active: fields.get('ActiveState') ?? 'unknown',
      sub: fields.get('SubState') ?? 'unknown',
      enabled: fields.get('UnitFileState') ?? '',
      pid: Number(fields.get('MainPID') ?? 0),
      restarts: Number(fields.get('NRestarts') ?? 0),
      sinceS: since === undefined ? undefined : Number(since),
    };
    return [(fields.get('Id') ?? '').replace(/\.service$/, ''), unit] as const;
  });
  return Object.fromEntries(blocks.filter(([name]) => name !== ''));
}

/** Four lines of JSON: MASTER, REPLICAS, SENTINELS, CKQUORUM. Undefined when Sentinel does not watch that primary. */
function parseSentinel(text: string): SentinelView | undefined {
  const [master, replicas, others, quorum = ''] = lines(text);
  if (master === undefined || !master.startsWith('{')) return undefined;
  const flat = (value: object) => Object.entries(value).flat();
  const rows = (line: string | undefined) => (JSON.parse(line ?? '[]') as object[]).map(flat);
  return parseSentinelView(flat(JSON.parse(master)), rows(replicas), rows(others), quorum.replace(/^"|"$/g, ''));
}
