import { get } from 'node:http';
import type { FleetNode } from './fleet.ts';

/** What a service of the node answers to a GET, through the node's ssh connection. Rejects without an answer within `timeoutMs`. */
export async function getFrom(
  node: Pick<FleetNode, 'name' | 'address' | 'ssh'>,
  port: number,
  path: string,
  timeoutMs: number,
): Promise<{ readonly status: number; readonly text: string }> {
  const stream = await node.ssh.forward(node.address, port, timeoutMs);
  return await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = { path, createConnection: () => stream as never, headers: { host: node.name }, timeout: timeoutMs };
    const request = get(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs} ms`)));
    request.on('error', reject);
  }).finally(() => stream.destroy());
}
