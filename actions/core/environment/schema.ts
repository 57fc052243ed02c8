import { z } from 'zod';

/** What an environment file may say. Each description is what an editor shows while one types. */

const ms = (description: string) =>
  z.int('write whole milliseconds, e.g. 1500').positive().describe(`${description} (ms)`);
const port = (value: number) => z.int().min(1).max(65535).default(value);
const percent = (description: string) => z.number().positive().max(100).describe(`${description} (%)`);
const count = (description: string) => z.int().positive().describe(description);
const cidr = z.cidrv4('write a subnet, e.g. 10.0.0.0/24');
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
  'redis-primary-crash',
  'redis-primary-kill',
  'redis-primary-hang',
  'redis-primary-partition',
  'redis-primary-partition-one-way',
  'redis-primary-reboot',
  'redis-primary-power-off',
  'redis-primary-disk-full',
  'redis-primary-silent',
  'redis-primary-frozen',
  'redis-primary-blinking',
  'redis-replica-kill',
  'redis-replica-partition',
  'redis-replica-silent',
  'redis-replica-frozen',
  'redis-replica-blinking',
  'sentinel-kill',
  'sentinel-two-killed',
  'sentinel-silent',
  'sentinel-frozen',
  'sentinel-blinking',
  'sentinel-and-primary-kill',
  'two-sentinels-and-primary-kill',
  'sentinels-paused-then-primary-kill',
  'leader-crash',
  'double-failover',
  'minority-partition',
  'lagging-replica-then-kill',
  'app-stop',
  'app-kill',
  'app-hang',
  'app-power-off',
  'app-silent',
  'app-frozen',
  'app-blinking',
  'apps-frozen',
  'app-and-primary-frozen',
  'lb-kill',
  'lb-hang',
  'lb-power-off',
  'lb-silent',
  'lb-silent-inside',
  'lb-silent-vlan',
  'lb-frozen',
  'lb-blinking',
  'clock-jump',
  'packet-loss',
  'slow-network',
  'reapply-after-failover',
  'rollout-under-load',
  'bad-release-reverts',
  'fleet-cold-start',
] as const;
export type ScenarioName = (typeof scenarioNames)[number];

export const nodeSchema = z.strictObject({
  name: name.describe('Host name; also the end of the Linode label'),
  roles: z.array(z.enum(roles)).min(1).describe('What runs here; redis and sentinel may share a node'),
  address: ipv4.describe('The private address, inside network.subnet'),
  vlanAddress: ipv4
    .optional()
    .describe('Its own address in network.vlan; each load balancer has one where two share an address'),
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
  subnet: cidr.describe('The VPC subnet that holds every node'),
  vlan: z
    .strictObject({
      label: z
        .string()
        .regex(/^[A-Za-z0-9](-?[A-Za-z0-9])*$/, 'use letters, digits and single hyphens')
        .max(64)
        .describe('Of the VLAN, which the clients of the shared address are in too'),
      subnet: cidr.describe('Its addresses; none of network.subnet'),
    })
    .optional()
    .describe('Layer 2, which a VPC is not: what two load balancers need to share an address'),
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
    keepalived: z.string().optional().describe('Where two load balancers share an address'),
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
    handoffAfterMs: z
      .int('write whole milliseconds, e.g. 300')
      .min(0)
      .default(0)
      .describe('How long a primary that died has to be ready again before its node has a replica promoted (ms)'),
    handoverTimeoutMs: ms('The longest that a primary that hands over may hold writes back').default(5000),
    maxmemoryMb: z.int().min(0).default(0).describe('0: no limit'),
  })
  .prefault({});

const sentinel = z
  .strictObject({
    port: port(26379),
    masterName: name.default('mymaster'),
    quorum: count('Sentinels that must agree that the primary is down').default(2),
    downAfterMs: ms('Silence after which a Sentinel suspects the primary').default(1000),
    pingMs: z
      .int()
      .min(250, 'Sentinel promotes no replica that it heard of longer than 5 pings ago, and asks them once a second')
      .max(1000)
      .default(300)
      .describe('How often a Sentinel pings each of the others, and tries again to reach one that it has lost (ms)'),
    tiltMs: z
      .int()
      .min(1000, 'A Sentinel that was paused has to hear of everybody again first: three pings')
      .max(30_000)
      .default(1500)
      .describe('How long a Sentinel does nothing after it was paused or its clock was stepped (TILT; ms)'),
    failoverTimeoutMs: ms(
      'Half of the time before a failed failover is tried again; so long one has for each of its steps, and a replica that follows another primary before it is set right',
    ).default(3000),
    parallelSyncs: count('Replicas that resynchronise at the same time after a failover').default(2),
  })
  .prefault({});

const app = z
  .strictObject({
    port: port(8080),
    durability: z
      .enum(['async', 'replicated', 'fsynced'])
      .default('replicated')
      .describe(
        'What an acknowledged write means: on the primary, on every replica that may be promoted, on their disks',
      ),
    replicasRequired: count('Replicas that hold a write at least before it is acknowledged').default(1),
    excludeAfterMs: ms('How long a replica may lag before it is taken out of the election').default(300),
    requestIdTtlS: count('How long a write is remembered by its request id (s); longer than any retry').default(60),
    writeConnections: count('Connections to the primary that carry writes').default(4),
    sessionTtlS: count('Lifetime of a session (s)').default(3600),
    holdMs: ms('How long a request waits for a primary before it gets 503').default(3000),
    holdMax: count('Requests that may wait').default(4096),
    waitMs: ms('How long one WAIT blocks before it is asked again').default(100),
    redisTimeoutMs: ms("The longest wait for one of Redis' answers").default(1000),
    redisPingMs: ms('Silence after which Redis is asked for a sign of life').default(300),
    redisDeadMs: ms('Silence after which the connection counts as dead').default(600),
    clientTimeoutMs: ms('How long a client may take for its request').default(30_000),
    bodyMaxBytes: count('Largest request body (bytes)').default(65_536),
    watchdogMs: ms('Silence of the process after which systemd kills it').default(800),
    drainMs: ms('How long a stopping service answers what is in flight').default(5000),
    restartS: z.number().positive().default(0.1).describe('Pause before systemd starts it again (s)'),
  })
  .prefault({});

/** The address that two load balancers share. */
const shared = z
  .strictObject({
    protocol: z
      .literal(
        'vrrp',
        'write vrrp, which moves an address of network.vlan; a public address, which Linode moves by BGP, is not supported',
      )
      .describe('vrrp: keepalived moves the address, inside the VLAN'),
    address: ipv4.describe('The address, inside network.vlan.subnet; no node has it for itself'),
    routerId: z.int().min(1).max(255).default(51).describe("VRRP's virtual_router_id, one of its own in the VLAN"),
    advertIntervalMs: z
      .int('write whole milliseconds, e.g. 200')
      .min(20)
      .max(40_000)
      .multipleOf(10, 'write a multiple of 10, as VRRP counts')
      .default(100)
      .describe('Between two signs of life of who holds it; after three of them the other takes over (ms)'),
    checkIntervalMs: ms('Between two questions to the HAProxy beside').default(250),
    hungAfterMs: ms('An HAProxy that gives no answer for so long is killed, and the address moves').default(500),
    leaveMs: ms('The longest that one who leaves in order waits for the end of its connections').default(5000),
  })
  .optional()
  .describe('The address that clients use where there are two load balancers');

const haproxy = z
  .strictObject({
    port: port(80),
    mode: z.enum(['http', 'tcp']).default('http').describe('tcp for a service that does not speak HTTP'),
    balance: z.enum(['leastconn', 'roundrobin']).default('leastconn'),
    connectTimeoutMs: ms(
      'timeout connect, after which another server is tried; so long waits, too, who was refused when one server is left',
    ).default(75),
    clientTimeoutMs: ms('timeout client').default(50_000),
    responseTimeoutMs: ms(
      'What may be repeated, and was not answered by a server for so long, is sent to another: the most that a frozen one costs',
    ).default(800),
    serverTimeoutMs: ms('timeout server of all else').default(10_000),
    silentMs: ms('What a server does not confirm for so long is sent to another (tcp-ut)').default(250),
    keepaliveS: count('A machine that is silent for so long, and then again, is gone (s, keepalive)').default(1),
    checkIntervalMs: ms('Between two health checks').default(250),
    checkTimeoutMs: ms('For the answer to one').default(500),
    fastIntervalMs: ms('Between two health checks while a state changes').default(100),
    fall: count('Failed checks before a server counts as down').default(2),
    rise: count('Good checks before a server counts as up').default(2),
    maxConnections: count('maxconn').default(10_000),
    shared,
  })
  .prefault({});

/** When a rule fires. Each `...ForMs` is how long its condition has to hold. */
const alertRules = z
  .strictObject({
    targetDownForMs: ms('A node or an exporter gives no metrics').default(30_000),
    redisDownForMs: ms('A Redis does not answer').default(10_000),
    primaryDownForMs: ms('No Redis is primary, or no write can be acknowledged').default(5000),
    twoPrimariesForMs: ms('Two are; they are asked one after the other, so allow for three scrapes').default(15_000),
    failoverShownMs: ms('How long it is told that a failover happened').default(300_000),
    replicaLinkDownForMs: ms('A replica has no link to its primary').default(15_000),
    replicaLagMs: ms('A replica that is later than that lags').default(3000),
    replicaLagForMs: ms('A replica lags').default(15_000),
    sentinelDownForMs: ms('A Sentinel does not answer, or the Sentinels disagree').default(15_000),
    backendDownForMs: ms('HAProxy has a server down').default(5000),
    loadBalancerDownForMs: ms("A load balancer's URL does not answer").default(10_000),
    sharedAddressForMs: ms('Nobody holds the shared address, or two do; at least two scrapes of a machine').default(
      45_000,
    ),
    rateWindowMs: ms('The window of rates; at least four scrapes').default(60_000),
    latencyMs: ms('The slowest hundredth of the requests takes longer').default(500),
    latencyForMs: ms('Requests are slow').default(120_000),
    errorPercent: percent('More of the requests are answered with 5xx').default(1),
    errorForMs: ms('Requests fail').default(60_000),
    cpuPercent: percent('A machine uses more of its processors').default(90),
    memoryFreePercent: percent('A machine has less memory left').default(10),
    diskFreePercent: percent('A file system has less room left').default(15),
    diskBusyPercent: percent('A disk is busy for more of the time').default(90),
    machineForMs: ms('A machine is short of processor, memory or disk').default(600_000),
    drillOverdueMs: ms('Since the last drill').default(108_000_000),
  })
  .prefault({});

const https = z.url('write a URL, e.g. https://alerts.example.org/hook');
/** Where alerts go. What signs in there is the rollout's input alert-secret, and never stands here. */
const alerts = z
  .discriminatedUnion('to', [
    z.strictObject({ to: z.literal('none') }),
    z.strictObject({
      to: z.literal('webhook'),
      url: https
        .or(z.literal(''))
        .default('')
        .describe('alert-secret, when given, is sent as bearer token; without url it is the URL'),
    }),
    z.strictObject({
      to: z.literal('mail'),
      address: z.email().describe('Who gets the mail'),
      from: z.email(),
      smarthost: z.string().regex(/^[^:\s]+:\d+$/, 'write HOST:PORT, e.g. smtp.example.org:587'),
      user: z.string().default('').describe('Account on the smarthost; its password is alert-secret'),
    }),
    z.strictObject({
      to: z.literal('github'),
      repository: z
        .string()
        .regex(/^[\w.-]+\/[\w.-]+$/, 'write OWNER/NAME')
        .describe('Gets an issue for each alert; alert-secret is a token that may write issues there'),
      api: https.default('https://api.github.com'),
    }),
  ])
  .describe('webhook, mail, github or none')
  .default({ to: 'none' });

const monitor = z
  .strictObject({
    port: port(9090),
    alertmanagerPort: port(9093),
    nodeExporterPort: port(9100),
    blackboxExporterPort: port(9115),
    redisExporterPort: port(9121),
    scrapeIntervalMs: ms('Between two scrapes of a service').default(5000),
    nodeScrapeIntervalMs: ms('Between two scrapes of a machine').default(15_000),
    evaluationIntervalMs: ms('Between two evaluations of the rules').default(5000),
    retentionDays: count('How long metrics are kept (days)').default(15),
    rules: alertRules,
    alerts,
    groupWaitMs: ms('Between the first alert of a group and its message').default(10_000),
    groupIntervalMs: ms('Between two messages about a group that changes').default(60_000),
    watchdogMs: ms(
      'Between two calls of the address outside that tells somebody when they end (secret WATCHDOG_URL)',
    ).default(60_000),
    repeatMs: ms('Until a message about an alert that still fires is sent again').default(14_400_000),
  })
  .prefault({});

const rollout = z
  .strictObject({
    leaseMs: ms("How long a dead run's lease on a node holds").default(30_000),
    gateSuccesses: count('Good probes in a row that a gate asks for').default(3),
    gateIntervalMs: ms('Between two probes of a gate').default(200),
    gateHealthyMs: ms('How long a gate wants a node to be well without a break').default(400),
    canaryMs: ms('The same for the first node of a role that is restarted while the fleet serves').default(12_000),
    gateTimeoutMs: ms('From the switch until the node is well, at most').default(30_000),
    progressTimeoutMs: ms('Without any progress towards that').default(15_000),
    installTimeoutMs: ms('For installing packages on one node').default(180_000),
    maxParallel: z
      .partialRecord(z.enum(roles), count('Nodes of the role that are changed at the same time'))
      .default({})
      .describe('1 where nothing is said; never more than the fleet can do without'),
    maxParallelInstalls: count('Machines that install packages at the same time while they serve nothing').default(10),
  })
  .prefault({});

/** What every night has, and what a drill runs that is told nothing else. */
const coreScenarios = [
  'redis-primary-stop',
  'redis-primary-kill',
  'redis-primary-hang',
  'sentinel-kill',
  'app-kill',
] as const satisfies readonly ScenarioName[];

const timeOfDay = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'write a time of day in UTC, e.g. 02:30');

const drill = z
  .strictObject({
    enabled: z.boolean().default(true).describe('false: no drill here, whoever asks for one'),
    scenarios: z
      .array(z.enum(scenarioNames))
      .min(1)
      .default([...coreScenarios])
      .describe('Drilled every night'),
    rotation: z
      .array(z.enum(scenarioNames))
      .default([])
      .describe('Drilled once a week each, a part of them every night'),
    byHand: z
      .array(z.enum(scenarioNames))
      .default([])
      .describe(
        'Only when somebody asks for them by name: what no client can be spared. What is in none of the three lists is not allowed here',
      ),
    repeat: count('How often each scenario runs').default(1),
    window: z
      .strictObject({ from: timeOfDay, to: timeOfDay })
      .optional()
      .describe(
        'When a scheduled drill may begin (UTC); one that comes later breaks nothing. Others may begin at any time',
      ),
    requestsPerS: z.int().min(200).max(5000).default(300).describe('Arrivals per second through the load balancer'),
    requestTimeoutMs: ms("A request's own deadline").default(5000),
    steadyMs: ms('How long the fleet must be steady before and after').default(1500),
    steadyTimeoutMs: ms('The longest wait for the steady state').default(60_000),
    warmupMs: ms('Load before the fault').default(1500),
    observeMs: ms('Load after the fault, at least').default(8000),
    alertOverMs: ms('How long a run waits at its end for its alert to be over').default(15_000),
    healAfterMs: ms('When the node itself undoes the fault, whatever became of the runner').default(45_000),
    budgetMs: ms("The longest recovery that passes, instead of each scenario's own").optional(),
    budgetsMs: z.partialRecord(z.enum(scenarioNames), ms('Of this scenario')).default({}),
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
