import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { messageOf } from '../../actions/core/errors.ts';

/** A small JSON server, the ground under the lab's Linode and GitHub APIs. */

export interface JsonRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parsed body, or undefined when there was none. */
  readonly body: unknown;
  /** What stood for `{name}` in the route's pattern, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** The server's own base URL, for links. */
  readonly baseUrl: string;
}

export interface JsonReply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: string;
  /** `/repos/{owner}/{repo}/pulls`; a last `{name*}` takes the rest of the path, slashes included. */
  readonly pattern: string;
  readonly handle: (request: JsonRequest) => JsonReply | Promise<JsonReply>;
}

export interface JsonServer {
  readonly url: string;
  /** Stops listening and cuts the connections. */
  close(): Promise<void>;
}

/** What the server does with a request: a reply, or `reset` to cut the connection, or `hang` to say nothing, ever. */
export type Answer = JsonReply | 'reset' | 'hang';

/** The route for a request and its parameters; undefined when there is none. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: string,
): { route: Route; params: Record<string, string> } | undefined {
  for (const route of routes) {
    if (route.method !== method) continue;
    const params = matchPath(route.pattern, path);
    if (params !== undefined) return { route, params };
  }
  return undefined;
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.slice(1).split('/');
  const given = path.slice(1).split('/');
  const params: Record<string, string> = {};
  for (const [index, part] of wanted.entries()) {
    const name = /^\{(\w+)(\*?)\}$/.exec(part);
    const value = name?.[2] === '*' ? given.slice(index).join('/') : given[index];
    if (value === undefined || value === '') return undefined;
    if (name === null) {
      if (value !== part) return undefined;
      continue;
    }
    params[name[1] ?? ''] = decodeURIComponent(value);
    if (name[2] === '*') return params;
  }
  return wanted.length === given.length ? params : undefined;
}

/** Listens on `host:port` (0: any) and gives every request to `answer`. A throw becomes a 500 and one line in the log. */
export async function startJsonServer(options: {
  readonly host: string;
  readonly port: number;
  readonly answer: (request: JsonRequest) => Promise<Answer>;
  /** The reply to a body that is no JSON. */
  readonly malformed: JsonReply;
  readonly log: (line: string) => void;
}): Promise<JsonServer> {
  let baseUrl = '';
  const server = createServer((incoming, outgoing) => {
    handle(incoming, baseUrl, options)
      .then((answer) => send(outgoing, incoming.socket, answer))
      .catch((error) => {
        options.log(`${incoming.method} ${incoming.url}: ${messageOf(error)}`);
        send(outgoing, incoming.socket, { status: 500, body: { message: messageOf(error) } });
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  baseUrl = `http://${options.host}:${(server.address() as AddressInfo).port}`;
  return {
    url: baseUrl,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(
  incoming: IncomingMessage,
  baseUrl: string,
  options: { answer: (request: JsonRequest) => Promise<Answer>; malformed: JsonReply },
): Promise<Answer> {
  const url = new URL(incoming.url ?? '/', baseUrl);
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    return options.malformed;
  }
  return await options.answer({
    method: incoming.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: incoming.headers,
    body,
    params: {},
    baseUrl,
  });
}

function send(outgoing: ServerResponse, socket: Socket, answer: Answer): void {
  if (answer === 'hang') return;
  if (answer === 'reset') {
    socket.resetAndDestroy();
    return;
  }
  outgoing.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
  outgoing.end(answer.body === undefined ? undefined : JSON.stringify(answer.body));
}
