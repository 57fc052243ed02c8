import { type ErrorCode, FiredrillError } from '../errors.ts';

export interface Reason {
  readonly field?: string;
  readonly reason: string;
}

/** A call to Linode's API that failed. Holds no request, so that the token can't be printed with it. */
export class LinodeError extends FiredrillError {
  /** HTTP status, or undefined when no answer came. */
  readonly status: number | undefined;
  readonly reasons: readonly Reason[];
  /** What Linode asked us to wait before the next try (ms). */
  readonly retryAfterMs: number | undefined;
  /** Whether the call may have had its effect although it failed: no answer, or a server's fault. */
  readonly unclear: boolean;

  constructor(
    call: string,
    facts: { status?: number; reasons: readonly Reason[]; retryAfterMs?: number; timedOut?: boolean },
  ) {
    const { status, reasons } = facts;
    const text = reasons
      .map((each) => (each.field === undefined ? each.reason : `${each.field}: ${each.reason}`))
      .join('; ');
    const fix = fixOf(status, text);
    super({
      code: facts.timedOut === true ? 'timeout' : codeOf(status),
      where: `Linode API, ${call}`,
      what: status === undefined ? text : `${status} ${text}`,
      ...(fix === undefined ? {} : { fix }),
    });
    this.name = 'LinodeError';
    this.status = status;
    this.reasons = reasons;
    this.retryAfterMs = facts.retryAfterMs;
    this.unclear = status === undefined || (status >= 500 && status !== 503);
  }

  /** "Linode busy." and its like: the same call may pass later, and had no effect now. */
  get later(): boolean {
    return (
      this.status === 408 ||
      this.status === 429 ||
      this.status === 503 ||
      (this.status === 400 && this.reasons.some((each) => /^linode busy/i.test(each.reason)))
    );
  }

  /** Whether the reason is that another resource has the label. */
  get labelTaken(): boolean {
    return this.status === 400 && this.reasons.some((each) => each.field === 'label' && /unique/i.test(each.reason));
  }
}

function codeOf(status: number | undefined): ErrorCode {
  if (status === 400 || status === 401 || status === 403) return 'config';
  return 'remote';
}

function fixOf(status: number | undefined, text: string): string | undefined {
  if (status === 401) return 'Set LINODE_TOKEN to a valid personal access token';
  if (status === 403)
    return 'Give the token read and write access to Linodes, VPCs and Firewalls, and read access to Events';
  if (/account limit/i.test(text))
    return 'Ask Linode to raise the limit, or remove machines; trying again does not help';
  return undefined;
}
