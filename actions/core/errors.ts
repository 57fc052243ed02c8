import { inspect } from 'node:util';

/**
 * What kind of thing went wrong. A caller may treat them differently: `config` is the user's mistake and nothing was touched,
 * `remote` is a machine or an API that failed, `gate` is a node that did not become healthy, `lease` is another run at work,
 * `budget` is a drill that measured too much, `timeout` is a deadline that passed, `bug` is ours.
 */
export type ErrorCode = 'config' | 'remote' | 'gate' | 'lease' | 'budget' | 'timeout' | 'cancelled' | 'bug';

export interface ErrorFacts {
  readonly code: ErrorCode;
  /** What happened, one sentence, no trailing full stop. */
  readonly what: string;
  /** file:line:column, URL or address. */
  readonly where?: string;
  readonly node?: string;
  readonly phase?: string;
  /** What the reader does now. */
  readonly fix?: string;
  readonly cause?: unknown;
}

/** The one error that Firedrill throws on purpose: facts first, text derived from them. */
export class FiredrillError extends Error {
  readonly facts: ErrorFacts;

  constructor(facts: ErrorFacts) {
    super(describe(facts), facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'FiredrillError';
    this.facts = facts;
  }

  get code(): ErrorCode {
    return this.facts.code;
  }
}

function describe(facts: ErrorFacts): string {
  const place = [facts.where, facts.node, facts.phase].filter((part) => part !== undefined).join(', ');
  const head = place === '' ? facts.what : `${place}: ${facts.what}`;
  return facts.fix === undefined ? head : `${head}. ${facts.fix}`;
}

/** A FiredrillError as it is; anything else as one with code `bug` or the given one, its message kept, the original as cause. */
export function asFiredrillError(error: unknown, facts: Partial<ErrorFacts> = {}): FiredrillError {
  if (error instanceof FiredrillError) return error;
  return new FiredrillError({ code: 'bug', what: messageOf(error), cause: error, ...facts });
}

/** A human text for whatever was thrown: Error, string, or an array of validation failures as @linode/api-v4 throws. Never throws. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  if (error instanceof Error) return error.message;
  if (typeof error === 'string') return error;
  return inspect(error, { depth: 3, breakLength: 200 });
}
