import { createReadStream, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';

export interface Mirror {
  readonly url: string;
  close(): Promise<void>;
}

/** Serves the files of one flat folder, for apt: GET and HEAD, connections kept open. Resolves when it listens; rejects when it can't. */
export async function serveMirror(
  folder: string,
  listen: { readonly host: string; readonly port: number },
): Promise<Mirror> {
  const server = createServer((request, response) => answer(folder, request, response));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : listen.port;
  return { url: `http://${listen.host}:${port}`, close: () => close(server) };
}

/** The file's name that a request's path asks for, or undefined: names only, so no path can lead out of the folder. */
export function fileOf(url: string): string | undefined {
  try {
    const name = decodeURIComponent(url.split('?')[0] ?? '').replace(/^\/(\.\/)*/, '');
    return name !== '' && name === basename(name) && !name.startsWith('.') && !name.includes('\0') ? name : undefined;
  } catch {
    return undefined;
  }
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const reading = request.method === 'GET' || request.method === 'HEAD';
  const name = fileOf(request.url ?? '/');
  const path = `${folder}/${name}`;
  const info = name === undefined ? undefined : statSync(path, { throwIfNoEntry: false });
  if (!reading || !info?.isFile()) {
    response.writeHead(reading ? 404 : 405, { 'content-length': 0 }).end();
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': info.size,
    'last-modified': info.mtime.toUTCString(),
  });
  if (request.method === 'HEAD') response.end();
  else pipeline(createReadStream(path), response, () => {});
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
