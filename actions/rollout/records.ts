/** What a node keeps about runs: its lease, its records of the way back, and the digests that failed. All of it as node/*.sh write it. */

export interface LeaseFacts {
  readonly run: string;
  readonly who: string;
  /** How long it has been held and how long it holds, by the node's clock. */
  readonly heldMs: number;
  readonly leftMs: number;
}

/** One change of a node's release; see node/deadman.sh. */
export interface RecordFacts {
  readonly run: string;
  readonly generation: number;
  /** The release before; undefined on a node that had none. */
  readonly from: string | undefined;
  readonly to: string;
  /** Until it has to be confirmed; negative when that is over. */
  readonly leftMs: number;
}

/** `RUN GENERATION SINCE_MS EXPIRES_MS WHO`; undefined when it is over. Pure. */
export function parseLease(text: string | undefined, nowMs: number): LeaseFacts | undefined {
  const [run = '', , since, expires, who = ''] = (text ?? '').trim().split(' ');
  const leftMs = Number(expires ?? 0) - nowMs;
  return leftMs > 0 ? { run, who, heldMs: nowMs - Number(since), leftMs } : undefined;
}

/** The generation of a lease, also of one that is over. Pure. */
export function parseGeneration(text: string | undefined): number {
  return Number((text ?? '').trim().split(' ')[1] ?? 0) || 0;
}

/** Lines of KEY, tab, VALUE. The nonce is not read: nobody but the run that gave it has a use for it. Pure. */
export function parseRecord(text: string | undefined, nowMs: number): RecordFacts | undefined {
  if (text === undefined) return undefined;
  const fields = new Map(text.split('\n').map((line) => line.split('\t', 2) as [string, string]));
  const from = fields.get('from') ?? '-';
  return {
    run: fields.get('run') ?? '',
    generation: Number(fields.get('generation') ?? 0),
    from: from === '-' ? undefined : from,
    to: fields.get('to') ?? '',
    leftMs: Number(fields.get('deadline') ?? 0) - nowMs,
  };
}

/** Lines of DIGEST, tab, RUN, tab, WHY. Pure. */
export function parseBad(text: string): Record<string, string> {
  const rows = text.split('\n').map((line) => line.split('\t'));
  return Object.fromEntries(
    rows.flatMap(([digest = '', run = '', why = '']) => (digest === '' ? [] : [[digest, `in run ${run}: ${why}`]])),
  );
}
