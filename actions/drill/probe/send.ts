import { type Agent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import type { Step } from '../../core/history/workload.ts';
import { nowMs } from '../clock.ts';
import { outcomeOf, outcomeOfError, type Request } from './history.ts';

export interface Sending {
  readonly agent: Agent;
  readonly url: string;
  readonly id: number;
  readonly step: Step;
  readonly intendedAt: number;
  /** From the intended time (ms). */
  readonly requestTimeoutMs: number;
}

/** As the agent's own for idle connections. */
const keepAliveMs = 1000;

const methods = { read: 'GET', write: 'PUT', delete: 'DELETE' } as const;

/** Asks once; nothing is ever sent twice from here. Resolves always, at the deadline at the latest. */
export function send({ agent, url, id, step, intendedAt, requestTimeoutMs }: Sending): Promise<Request> {
  return new Promise((resolve) => {
    const sentAt = nowMs();
    const { process, op, key } = step;
    const asked = httpRequest(`${url}/v1/sessions/${key}`, { agent, method: methods[op], headers: headersOf(step) });
    const end = (outcome: Request['outcome'], status: number, answer: Answer, error?: string): void => {
      clearTimeout(deadline);
      resolve({
        id,
        process,
        op,
        key,
        value: op === 'read' ? answer.value : step.value,
        ...(step.condition === undefined ? {} : { expected: step.condition?.value ?? null }),
        etag: answer.etag,
        primary: answer.primary,
        requestId: step.requestId ?? '',
        intendedAt,
        sentAt,
        endedAt: nowMs(),
        outcome,
        status,
        ...(error === undefined ? {} : { error }),
      });
    };
    const deadline = setTimeout(
      () => {
        end(op === 'read' ? 'failed' : 'unknown', 0, nothing, 'deadline');
        asked.destroy();
      },
      Math.max(1, intendedAt + requestTimeoutMs - sentAt),
    );
    const broken = (error: NodeJS.ErrnoException): void => {
      const code = error.code ?? error.message;
      end(outcomeOfError(op, code), 0, nothing, code);
    };
    asked.on('error', broken);
    // A client that waits for an answer on a connection whose other end is another machine by now hears of it so. Node sets it for idle ones
    // only, and forgets what is set before a connection is made.
    asked.on('socket', (socket) => {
      const keep = (): void => void socket.setKeepAlive(true, keepAliveMs);
      if (socket.connecting) socket.once('connect', keep);
      else keep();
    });
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', broken);
      response.on('end', () => {
        const status = response.statusCode ?? 0;
        const value = status === 200 ? Buffer.concat(chunks).toString('utf8') : null;
        const { etag, 'x-replication-id': primary } = response.headers;
        end(outcomeOf(op, status), status, { value, etag: etagOf(etag), primary: primary?.toString() ?? null });
      });
    });
    asked.end(op === 'write' ? (step.value ?? '') : undefined);
  });
}

interface Answer {
  readonly value: string | null;
  readonly etag: string | null;
  readonly primary: string | null;
}

const nothing: Answer = { value: null, etag: null, primary: null };

function headersOf({ op, value, condition, requestId }: Step): OutgoingHttpHeaders {
  return {
    ...(op === 'write' ? { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(value ?? '') } : {}),
    ...(requestId === undefined ? {} : { 'x-request-id': requestId }),
    ...(condition === null ? { 'if-none-match': '*' } : {}),
    ...(condition ? { 'if-match': `"${condition.etag}"` } : {}),
  };
}

/** Without the quotes: as Redis holds it. */
export function etagOf(header: string | undefined): string | null {
  return header === undefined ? null : header.replaceAll('"', '');
}
