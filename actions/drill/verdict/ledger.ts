import type { Request } from '../probe/history.ts';

/** What was read back after everything was healed: the value, or null when the key is gone. */
export type FinalState = ReadonlyMap<string, string | null>;

/** A write or a read that broke the promise of an acknowledgement. */
export interface Anomaly {
  readonly request: Request;
  readonly what: string;
}

/** The keys with an acknowledged write: those that must be read back. */
export function acknowledgedKeys(history: readonly Request[]): string[] {
  return [...new Set(history.filter(acknowledged).map((request) => request.key))];
}

/**
 * The acknowledged writes that are gone. A write survives when its value is there, or that of a write which may have come after it in
 * real time: one that had not ended when this one was sent, or began later. A refused or unanswered write may have been applied, and
 * at any later time, so its value is never a loss, unless it was seen and then overwritten by an acknowledged one before it reappeared.
 */
export function lostWrites(history: readonly Request[], final: FinalState): Anomaly[] {
  return [...byKey(history)].flatMap(([key, requests]) => {
    const value = final.get(key);
    if (value === undefined) return []; // not read back: no write of it was acknowledged
    const state = stateOf(requests, value);
    if (state === 'unwritten')
      return [...requests.filter(acknowledged)].map((request) => ({
        request,
        what: `a value that nobody wrote: ${value}`,
      }));
    const instead = value === null ? 'gone' : `an older value is there: ${value}`;
    return requests
      .filter((request) => acknowledged(request) && !mayBeFollowedBy(request, state))
      .map((request) => ({ request, what: instead }));
  });
}

/** The reads, while the drill ran, that did not show a write which had been acknowledged before they were sent, nor a later one. */
export function staleReads(history: readonly Request[]): Anomaly[] {
  return [...byKey(history)].flatMap(([, requests]) => {
    const writes = requests.filter(acknowledged);
    return requests.filter(answeredRead).flatMap((read) => {
      const state = stateOf(requests, read.value, read);
      if (state === 'unwritten') return [{ request: read, what: `a value that nobody wrote: ${read.value}` }];
      const hidden = writes.find((write) => write.endedAt < read.sentAt && !mayBeFollowedBy(write, state));
      return hidden === undefined
        ? []
        : [{ request: read, what: `does not show ${hidden.value}, acknowledged before` }];
    });
  });
}

/** A value's place in time: when its write was sent and the latest time at which it took effect. `absent`: from before all writes. */
type State = { readonly sentAt: number; readonly effectiveBy: number } | 'absent' | 'unwritten';

function stateOf(requests: readonly Request[], value: string | null, except?: Request): State {
  if (value === null) return 'absent';
  const write = requests.find((request) => request.op === 'write' && request.value === value);
  if (write === undefined) return 'unwritten';
  const seen = requests.filter((request) => request !== except && answeredRead(request) && request.value === value);
  const ends = [...(acknowledged(write) ? [write.endedAt] : []), ...seen.map((read) => read.endedAt)];
  return { sentAt: write.sentAt, effectiveBy: Math.min(Number.POSITIVE_INFINITY, ...ends) };
}

/** Whether the state can be that after `write` took effect. */
function mayBeFollowedBy(write: Request, state: State): boolean {
  if (state === 'absent' || state === 'unwritten') return false;
  return state.effectiveBy >= write.sentAt;
}

function acknowledged(request: Request): boolean {
  return request.op === 'write' && request.outcome === 'ok';
}

function answeredRead(request: Request): boolean {
  return request.op === 'read' && request.outcome === 'ok';
}

function byKey(history: readonly Request[]): Map<string, Request[]> {
  const keys = new Map<string, Request[]>();
  for (const request of history) {
    const list = keys.get(request.key);
    if (list === undefined) keys.set(request.key, [request]);
    else list.push(request);
  }
  return keys;
}
