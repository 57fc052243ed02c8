import { AsyncLocalStorage } from 'node:async_hooks';
import { baseRequest } from '@linode/api-v4';
import type { Secret } from '../secret.ts';
import { LinodeError, type Reason } from './errors.ts';

export interface Connection {
  /** `https://api.linode.com`, or the lab's. */
  readonly baseUrl: string;
  readonly token: Secret;
  /** Deadline of one request, from the first packet to the last (ms). */
  readonly requestTimeoutMs: number;
}

const current = new AsyncLocalStorage<Connection>();

// The library's requests go through one shared axios instance and to absolute URLs. One interceptor of ours replaces its own: it
// takes address, token and deadline from the call in progress, so that two clients in one process can't mix them up.
baseRequest.interceptors.request.clear();
baseRequest.interceptors.request.use((config) => {
  const connection = current.getStore();
  if (connection === undefined) throw new Error('a Linode call outside of linodeApi()');
  const path = (config.url ?? '').replace(/^https?:\/\/[^/]+/, '');
  config.url = `${connection.baseUrl.replace(/\/$/, '')}${path}`;
  config.headers.set('Authorization', `Bearer ${connection.token.reveal()}`);
  config.headers.set('User-Agent', 'firedrill');
  config.signal = AbortSignal.timeout(connection.requestTimeoutMs);
  // A proxy from the environment is for the internet, not for a lab's address.
  if (config.url.startsWith('http:')) config.proxy = false;
  return config;
});

/** One request by a function of @linode/api-v4. Throws a LinodeError that has the reason and not the token. `call` names it, e.g. `create redis-1`. */
export async function request<T>(connection: Connection, call: string, work: () => Promise<T>): Promise<T> {
  try {
    return await current.run(connection, work);
  } catch (error) {
    // Not kept as cause: the library's error carries the request, the token included.
    throw linodeError(call, error, connection.requestTimeoutMs);
  }
}

/** What axios adds to an Error, as far as it is needed. */
interface HttpFailure {
  readonly code?: string;
  readonly message?: string;
  readonly response?: {
    readonly status: number;
    readonly headers: Readonly<Record<string, unknown>>;
    readonly data?: { readonly errors?: readonly Reason[] };
  };
}

function linodeError(call: string, error: unknown, timeoutMs: number): LinodeError {
  // The library's own validation rejects with a plain array, before anything was sent.
  if (Array.isArray(error)) return new LinodeError(call, { status: 400, reasons: error as Reason[] });
  const { code, message, response } = error as HttpFailure;
  if (response === undefined) {
    const timedOut = code === 'ERR_CANCELED' || code === 'ETIMEDOUT' || code === 'ECONNABORTED';
    const reason = timedOut ? `no answer within ${timeoutMs} ms` : `${message ?? 'no answer'}`;
    return new LinodeError(call, { reasons: [{ reason }], timedOut });
  }
  const retryAfterS = Number(response.headers['retry-after']);
  const reasons = Array.isArray(response.data?.errors) ? response.data.errors : [{ reason: 'no reason given' }];
  return new LinodeError(call, {
    status: response.status,
    reasons,
    ...(retryAfterS > 0 ? { retryAfterMs: retryAfterS * 1000 } : {}),
  });
}
