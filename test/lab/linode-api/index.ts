import {
  findRoute,
  type JsonReply,
  type JsonRequest,
  type JsonServer,
  type Route,
  startJsonServer,
} from '../json-server.ts';
import { openStateFile } from '../state-file.ts';
import { type Description, descriptionFile, loadDescription } from './description.ts';
import { ApiRefusal, errorReply } from './errors.ts';
import { resume } from './operations.ts';
import { linodeRoutes } from './routes.ts';
import type { Machines, Region, State } from './types.ts';

export type { MachineSpec, MachineState, Machines, State } from './types.ts';

/** What a test may do to a request: refuse it, or break the connection before or after it had its effect. */
export type Fault =
  | { readonly reply: JsonReply }
  | { readonly breaks: 'reset' | 'hang'; readonly when: 'before' | 'after' };

export interface LinodeApiOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly token: string;
  /** What the account holds; survives the server. */
  readonly stateFile: string;
  readonly machines: Machines;
  readonly log: (line: string) => void;
  readonly regions?: readonly string[];
  readonly lassieDelayMs?: number;
  /** Asked for every request that is authorised. */
  readonly faults?: ((request: JsonRequest) => Fault | undefined) | undefined;
  /** Told of every request, before its answer is sent. */
  readonly onRequest?: (request: JsonRequest, status: number) => void;
  /** Linode's own description; the usual place when not named. */
  readonly descriptionFile?: string;
}

export interface LinodeApiServer extends JsonServer {
  /** Whether requests and answers are checked against Linode's own description. */
  readonly checked: boolean;
  /** A copy of what the account holds. */
  state(): State;
}

/** Linode creates at most so many instances in that time; more gets 429. */
const createLimit = { count: 20, perMs: 15_000 };

/** A Linode API v4 whose machines are `machines`. Takes up what an earlier server of the same state file left. */
export async function startLinodeApi(options: LinodeApiOptions): Promise<LinodeApiServer> {
  const region: Region = {
    store: openStateFile<State>(options.stateFile, {
      nextId: 1000,
      instances: [],
      events: [],
      vpcs: [],
      firewalls: [],
    }),
    machines: options.machines,
    regions: options.regions ?? ['lab-1'],
    log: options.log,
    lassieDelayMs: options.lassieDelayMs ?? 3000,
  };
  const description = loadDescription(options.log, options.descriptionFile ?? descriptionFile());
  const routes = linodeRoutes(region, description);
  const creates: number[] = [];
  await resume(region);
  const server = await startJsonServer({
    host: options.host,
    port: options.port,
    log: options.log,
    malformed: errorReply(400, [{ reason: 'Invalid JSON' }]),
    answer: async (request) => {
      if (request.headers.authorization !== `Bearer ${options.token}`) {
        return errorReply(401, [{ reason: 'Invalid Token' }]);
      }
      const fault = options.faults?.(request);
      if (fault !== undefined && 'reply' in fault) return fault.reply;
      if (fault?.when === 'before') return fault.breaks;
      const reply =
        tooManyCreates(request, creates) ?? (await answerRequest(routes, description, request, options.log));
      options.onRequest?.(request, reply.status);
      return fault === undefined ? reply : fault.breaks;
    },
  });
  return {
    url: server.url,
    checked: description.present,
    state: () => structuredClone(region.store.data),
    close: async () => {
      region.store.close();
      await server.close();
    },
  };
}

async function answerRequest(
  routes: readonly Route[],
  description: Description,
  request: JsonRequest,
  log: (line: string) => void,
): Promise<JsonReply> {
  const path = request.path.replace(/^\/v4(beta)?(?=\/)/, '');
  const found = path === request.path ? undefined : findRoute(routes, request.method, path);
  if (found === undefined) {
    log(`linode api: ${request.method} ${request.path}: the lab has no such operation`);
    return errorReply(404, [{ reason: 'Not found' }]);
  }
  const operation = `${found.route.method} ${found.route.pattern}`;
  const wrong = description.requestFaults(operation, request);
  if (wrong.length > 0) {
    log(`linode api: ${operation} refused: ${JSON.stringify(wrong)}`);
    return errorReply(400, wrong);
  }
  try {
    const reply = await found.route.handle({ ...request, params: found.params });
    const bugs = description.responseFaults(operation, reply.body);
    if (bugs.length === 0) return reply;
    log(`linode api: BUG OF THE LAB: the answer to ${operation} is not what Linode describes: ${JSON.stringify(bugs)}`);
    return errorReply(500, bugs);
  } catch (error) {
    if (error instanceof ApiRefusal) return errorReply(error.status, error.reasons);
    throw error;
  }
}

function tooManyCreates(request: JsonRequest, creates: number[]): JsonReply | undefined {
  if (request.method !== 'POST' || !request.path.endsWith('/linode/instances')) return undefined;
  const now = performance.now();
  const recent = creates.filter((at) => now - at < createLimit.perMs);
  creates.splice(0, creates.length, ...recent);
  if (recent.length < createLimit.count) {
    creates.push(now);
    return undefined;
  }
  const retryAfterS = Math.ceil((createLimit.perMs - (now - (recent[0] ?? now))) / 1000);
  return errorReply(429, [{ reason: 'Too many requests' }], { 'retry-after': String(retryAfterS) });
}
