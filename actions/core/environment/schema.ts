import { z } from 'zod';

/** What an environment file may say. Each description is what an editor shows while one types. */

const ms = (description: string) =>
  z.int('write whole milliseconds, e.g. 1500').positive().describe(`${description} (ms)`);
const port = (value: number) => z.int().min(1).max(65535).default(value);
const count = (description: string) => z.int().positive().describe(description);
const ipv4 = z.ipv4('write an IPv4 address, e.g. 10.0.0.11');
const name = z
  .string()
  .regex(
    /^[a-z][a-z0-9-]{0,30}[a-z0-9]$/,
    'use lower-case letters, digits and hyphens, starting with a letter, 2 to 32 long',
  );

export const roles = ['redis', 'sentinel', 'app', 'lb', 'monitor'] as const;
export type Role = (typeof roles)[number];

export const scenarioNames = [
  'redis-primary-stop',
  'redis-primary-kill',
  'redis-primary-hang',
  'sentinel-kill',
  'app-kill',
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export const nodeSchema = z.strictObject({
  name: name.describe('Host name; also the end of the Linode label'),
  roles: z.array(z.enum(roles)).min(1).describe('What runs here; redis and sentinel may share a node'),
  address: ipv4.describe('The private address, inside network.subnet'),
  primary: z
    .boolean()
    .default(false)
    .describe('The Redis node that starts as primary, once; afterwards Sentinel decides'),
  type: z.string().optional().describe('Linode type of this node, instead of linode.type'),
});

const linode = z.strictObject({
  api: z.url().default('https://api.linode.com').describe("Base URL of Linode's API; the lab has its own"),
  region: z.string().min(1).describe('A region with Metadata and VPCs, e.g. nl-ams'),
  image: z.string().min(1).default('linode/debian13').describe('The image; must have cloud-init'),
  type: z.string().min(1).default('g6-nanode-1').describe('The plan of every node that names none'),
  requestTimeoutMs: ms('How long one API request may take').default(30_000),
  pollIntervalMs: ms('How often a running operation is looked at').default(2000),
  bootTimeoutMs: ms('From creation to cloud-init done').default(300_000),
});

const network = z.strictObject({
  subnet: z.cidrv4('write a subnet, e.g. 10.0.0.0/24').describe('The VPC subnet that holds every node'),
});

const ssh = z
  .strictObject({
    user: name.default('deploy').describe('The user that cloud-init makes and the controller logs in as'),
    port: port(22),
    connectTimeoutMs: ms('From first packet to logged in').default(10_000),
    commandTimeoutMs: ms('The longest that one command on a node may take').default(180_000),
    authorizedKeys: z.array(z.string()).default([]).describe('Public keys of people who may log in as that user'),
  })
  .prefault({});

const packages = z
  .strictObject({
    redis: z.string(),
    haproxy: z.string(),
    prometheus: z.string(),
  })
  .describe('Upstream versions; the exact build that the archive had is recorded in the release');

const redis = z
  .strictObject({
    port: port(6379),
    appendfsync: z
      .enum(['always', 'everysec'])
      .default('everysec')
      .describe('always where a machine crash must lose nothing'),
    minReplicasToWrite: z.int().min(0).default(1).describe('A primary that sees fewer replicas refuses writes'),
    minReplicasMaxLagS: count('Seconds without word after which a replica no longer counts').default(2),
    backlogMb: count('Replication backlog (MB); too small a one forces full copies').default(64),
    fenceTimeoutMs: ms('How long a starting Redis waits for the Sentinels to say who is primary').default(1000),
    maxmemoryMb: z.int().min(0).default(0).describe('0: no limit'),
  })
  .prefault({});

const sentinel = z
  .strictObject({
    port: port(26379),
    masterName: name.default('mymaster'),
    quorum: count('Sentinels that must agree that the primary is down').default(2),
    downAfterMs: ms('Silence after which a Sentinel suspects the primary').default(1000),
    failoverTimeoutMs: ms('Half of the time before a failed failover is tried again').default(6000),
    parallelSyncs: count('Replicas that resynchronise at the same time after a failover').default(2),
  })
  .prefault({});

const app = z
  .strictObject({
    port: port(8080),
    durability: z.enum(['async', 'replicated']).default('replicated').describe('What an acknowledged write means'),
    replicasRequired: count('Replicas that hold a write before it is acknowledged').default(1),
    sessionTtlS: count('Lifetime of a session (s)').default(3600),
    holdMs: ms('How long a request waits for a primary before it gets 503').default(3000),
    holdMax: count('Requests that may wait').default(4096),
    waitMs: ms('How long a write waits for its replicas').default(1000),
    redisTimeoutMs: ms("The longest wait for one of Redis' answers").default(1000),
    redisPingMs: ms('Silence after which Redis is asked for a sign of life').default(300),
    redisDeadMs: ms('Silence after which the connection counts as dead').default(600),
    clientTimeoutMs: ms('How long a client may take for its request').default(30_000),
    bodyMaxBytes: count('Largest request body (bytes)').default(65_536),
    drainMs: ms('How long a stopping service answers what is in flight').default(5000),
    restartS: z.number().positive().default(0.1).describe('Pause before systemd starts it again (s)'),
  })
  .prefault({});

const haproxy = z
  .strictObject({
    port: port(80),
    mode: z.enum(['http', 'tcp']).default('http').describe('tcp for a service that does not speak HTTP'),
    balance: z.enum(['leastconn', 'roundrobin']).default('leastconn'),
    connectTimeoutMs: ms('timeout connect').default(5000),
    clientTimeoutMs: ms('timeout client').default(50_000),
    serverTimeoutMs: ms('timeout server').default(50_000),
    checkIntervalMs: ms('Between two health checks').default(500),
    fastIntervalMs: ms('Between two health checks while a state changes').default(100),
    fall: count('Failed checks before a server counts as down').default(2),
    rise: count('Good checks before a server counts as up').default(2),
    maxConnections: count('maxconn').default(10_000),
  })
  .prefault({});

const monitor = z
  .strictObject({ port: port(9090), scrapeIntervalMs: ms('Between two scrapes').default(5000) })
  .prefault({});

const rollout = z
  .strictObject({
    leaseMs: ms("How long a dead run's lease on a node holds").default(30_000),
    gateSuccesses: count('Good probes in a row that a gate asks for').default(3),
    gateIntervalMs: ms('Between two probes of a gate').default(200),
    gateTimeoutMs: ms('From the switch to healthy').default(30_000),
    installTimeoutMs: ms('For installing packages on one node').default(180_000),
    handoverTimeoutMs: ms('For the planned handover of the primary').default(10_000),
    maxParallelInstalls: count('Machines that install packages at the same time while they serve nothing').default(10),
  })
  .prefault({});

const drill = z
  .strictObject({
    scenarios: z
      .array(z.enum(scenarioNames))
      .min(1)
      .default([...scenarioNames]),
    requestsPerS: z.int().min(200).max(5000).default(300).describe('Arrivals per second through the load balancer'),
    requestTimeoutMs: ms("A request's own deadline").default(5000),
    steadyMs: ms('How long the fleet must be steady before and after').default(1500),
    steadyTimeoutMs: ms('The longest wait for the steady state').default(60_000),
    warmupMs: ms('Load before the fault').default(1500),
    observeMs: ms('Load after the fault, at least').default(8000),
    healAfterMs: ms('When the node itself undoes the fault, whatever became of the runner').default(45_000),
    budgetMs: ms('The longest recovery that passes').default(5000),
    budgetsMs: z.partialRecord(z.enum(scenarioNames), ms('Its own budget')).default({}),
  })
  .prefault({});

/** The sections of an environment file, each parsed by itself so that a mistake in one hides none in another. */
export const sections = {
  name: name.describe('Name of the environment; part of every label and tag'),
  linode,
  network,
  ssh,
  nodes: z.array(nodeSchema).min(1),
  packages,
  redis,
  sentinel,
  app,
  haproxy,
  monitor,
  rollout,
  drill,
};

export const environmentSchema = z.strictObject(sections);

export type Environment = z.output<typeof environmentSchema>;
export type EnvironmentNode = z.output<typeof nodeSchema>;
