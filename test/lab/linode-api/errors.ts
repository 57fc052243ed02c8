import type { JsonReply } from '../json-server.ts';

export interface Reason {
  readonly field?: string;
  readonly reason: string;
}

/** Thrown by a handler; becomes Linode's `{errors: [{field, reason}]}`. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly reasons: readonly Reason[];

  constructor(status: number, reasons: readonly Reason[]) {
    super(reasons.map((each) => each.reason).join('; '));
    this.status = status;
    this.reasons = reasons;
  }
}

/** 400 with one reason; `field` in Linode's way: `interfaces[1].subnet_id`. */
export function refuse(reason: string, field?: string): ApiRefusal {
  return new ApiRefusal(400, [field === undefined ? { reason } : { field, reason }]);
}

export const notFound = () => new ApiRefusal(404, [{ reason: 'Not found' }]);
export const busy = () => refuse('Linode busy.');

export function errorReply(
  status: number,
  reasons: readonly Reason[],
  headers: Record<string, string> = {},
): JsonReply {
  return { status, headers, body: { errors: reasons } };
}
