import type { Redis } from 'ioredis';
import { messageOf } from './errors.ts';

export interface SentinelReplica {
  readonly host: string;
  readonly port: number;
  readonly flags: readonly string[];
  readonly linkUp: boolean;
  /** 0: Sentinel never promotes it. */
  readonly priority: number;
}

/** One Sentinel's opinion of the fleet. */
export interface SentinelView {
  readonly primary: { readonly host: string; readonly port: number };
  /** `master` alone when all is well; `s_down`, `o_down`, `failover_in_progress` ... */
  readonly flags: readonly string[];
  readonly quorum: number;
  readonly otherSentinels: readonly {
    readonly host: string;
    readonly port: number;
    readonly flags: readonly string[];
  }[];
  readonly replicas: readonly SentinelReplica[];
  /** CKQUORUM: enough Sentinels to agree and to authorise a failover. */
  readonly quorumOk: boolean;
  readonly quorumMessage: string;
}

/** Asks one Sentinel for all that it knows of `masterName`. Throws what the connection throws. */
export async function readSentinelView(sentinel: Redis, masterName: string): Promise<SentinelView> {
  const [master, replicas, others, quorum] = await Promise.all([
    sentinel.call('SENTINEL', 'MASTER', masterName),
    sentinel.call('SENTINEL', 'REPLICAS', masterName),
    sentinel.call('SENTINEL', 'SENTINELS', masterName),
    sentinel.call('SENTINEL', 'CKQUORUM', masterName).catch((error: unknown) => `NO: ${messageOf(error)}`),
  ]);
  return parseSentinelView(master, replicas, others, String(quorum));
}

/** The four answers as facts. Pure. */
export function parseSentinelView(master: unknown, replicas: unknown, others: unknown, quorum: string): SentinelView {
  const fields = pairs(master);
  return {
    primary: addressOf(fields),
    flags: flagsOf(fields),
    quorum: Number(fields.get('quorum') ?? 0),
    otherSentinels: rows(others).map((row) => ({ ...addressOf(row), flags: flagsOf(row) })),
    replicas: rows(replicas).map((row) => ({
      ...addressOf(row),
      flags: flagsOf(row),
      linkUp: row.get('master-link-status') === 'ok',
      priority: Number(row.get('slave-priority') ?? 0),
    })),
    quorumOk: quorum.startsWith('OK'),
    quorumMessage: quorum,
  };
}

/** One message of a Sentinel's event channel. */
export interface SentinelEvent {
  /** `+sdown`, `+switch-master` ... */
  readonly name: string;
  /** `master`, `slave` or `sentinel`; undefined for events of another form. */
  readonly kind: string | undefined;
  /** The address that it is about; for +switch-master the new primary's. */
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly text: string;
}

/**
 * Most events read `KIND NAME HOST PORT [@ MASTER HOST PORT]`; `+switch-master` is `MASTER OLDHOST OLDPORT NEWHOST NEWPORT`; a few
 * hold something else. Pure.
 */
export function parseSentinelEvent(channel: string, message: string): SentinelEvent {
  const words = message.split(' ');
  const base = { name: channel, text: message };
  if (channel === '+switch-master')
    return { ...base, kind: 'master', host: words[3], port: words[4] === undefined ? undefined : Number(words[4]) };
  if (['master', 'slave', 'sentinel'].includes(words[0] ?? '') && words.length >= 4)
    return { ...base, kind: words[0], host: words[2], port: Number(words[3]) };
  return { ...base, kind: undefined, host: undefined, port: undefined };
}

function addressOf(fields: ReadonlyMap<string, string>): { host: string; port: number } {
  return { host: fields.get('ip') ?? '', port: Number(fields.get('port') ?? 0) };
}

function flagsOf(fields: ReadonlyMap<string, string>): string[] {
  return (fields.get('flags') ?? '').split(',').filter((flag) => flag !== '');
}

function rows(reply: unknown): Map<string, string>[] {
  return Array.isArray(reply) ? reply.map(pairs) : [];
}

/** A flat `[key, value, key, value]` reply. */
function pairs(reply: unknown): Map<string, string> {
  const flat = Array.isArray(reply) ? reply.map(String) : [];
  return new Map(flat.flatMap((key, index) => (index % 2 === 0 ? [[key, flat[index + 1] ?? ''] as const] : [])));
}
