import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { Operation } from '../../actions/core/history/operation.ts';
import type { Step } from '../../actions/core/history/workload.ts';
import { outcomeOfError } from '../../actions/drill/probe/history.ts';
import { balancer } from './settings.ts';

/** Long after the service has given up, so that what it answers is seen. */
const deadlineMs = 8000;

const agent = new Agent({ keepAlive: true, scheduling: 'lifo', timeout: 20_000 });

/** Asks the load balancer once; nothing is ever sent twice from here. Resolves always. */
export function send(request: Step): Promise<Operation> {
  return new Promise((resolve) => {
    const invokedAt = performance.now();
    const body = request.value ?? '';
    const sent = httpRequest({
      ...balancer,
      agent,
      method: { read: 'GET', write: 'PUT', delete: 'DELETE' }[request.op],
      path: `/v1/sessions/${request.key}`,
      headers: {
        ...(request.op === 'write' ? { 'content-length': Buffer.byteLength(body) } : {}),
        ...(request.requestId === undefined ? {} : { 'x-request-id': request.requestId }),
        ...(request.condition === null ? { 'if-none-match': '*' } : {}),
        ...(request.condition ? { 'if-match': request.condition.etag } : {}),
      },
    });
    const end = (status: number, headers: IncomingHttpHeaders, text: string | null, error?: string): void => {
      clearTimeout(deadline);
      const { outcome, result } = outcomeOf(request.op, status, error);
      const found = request.op === 'read' && result === 'done' ? text : null;
      resolve({
        process: request.process,
        op: request.op,
        key: request.key,
        value: request.op === 'write' ? body : found,
        ...(request.condition === undefined ? {} : { expected: request.condition?.value ?? null }),
        etag: headers.etag ?? null,
        primary: headers['x-replication-id']?.toString() ?? null,
        requestId: request.requestId ?? '',
        invokedAt,
        completedAt: performance.now(),
        outcome,
        result,
        status,
        ...(error === undefined ? {} : { error }),
      });
    };
    const deadline = setTimeout(() => {
      end(0, {}, null, 'deadline');
      sent.destroy();
    }, deadlineMs);
    const broken = (error: NodeJS.ErrnoException): void => end(0, {}, null, error.code ?? error.message);
    sent.on('error', broken);
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', broken);
      response.on('end', () => end(response.statusCode ?? 0, response.headers, text));
    });
    sent.end(request.op === 'write' ? body : undefined);
  });
}

/** What an answer means. A write without a clear answer, 503 included, may be applied yet. Pure. */
function outcomeOf(op: Operation['op'], status: number, error?: string): Pick<Operation, 'outcome' | 'result'> {
  if (error !== undefined) return { outcome: outcomeOfError(op, error), result: null };
  if (status === 200 || status === 204) return { outcome: 'ok', result: 'done' };
  if (status === 404) return { outcome: 'ok', result: 'absent' };
  if (status === 412) return { outcome: 'ok', result: 'mismatch' };
  const untouched = op === 'read' || (status >= 400 && status < 500 && status !== 408);
  return { outcome: untouched ? 'failed' : 'unknown', result: null };
}
