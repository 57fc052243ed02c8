import { nodesOf } from '../core/environment/nodes.ts';
import { type Environment, type EnvironmentNode, type Role, roles } from '../core/environment/schema.ts';
import { retriesOf } from '../core/haproxy.ts';
import type { Secret } from '../core/secret.ts';

export interface FleetSecrets {
  readonly redis: Secret;
  readonly sentinel: Secret;
  /** What Alertmanager signs in with where alerts go; undefined when that needs nothing. */
  readonly alerts?: Secret | undefined;
  /** What Alertmanager calls as long as alerts can be told; undefined when nobody outside listens. */
  readonly watchdog?: Secret | undefined;
}

/** All of them, for whoever hides them. */
export function fleetSecrets({ redis, sentinel, alerts, watchdog }: FleetSecrets): Secret[] {
  return [redis, sentinel, alerts, watchdog].filter((each) => each !== undefined);
}

/** Prometheus' own templates, for ours, which are written the same way: what an alert's text may say of the series that fired. */
const fired = {
  ...Object.fromEntries(
    ['node', 'job', 'mountpoint', 'device', 'server'].map((name) => [name, `{{ $labels.${name} }}`]),
  ),
  value: '{{ $value | humanize }}',
  percent: '{{ $value | humanizePercentage }}',
  duration: '{{ $value | humanizeDuration }}',
};

/** What a load balancer that shares its address knows of the two of them; null where none is shared. */
function sharedVariables({ haproxy, network, nodes }: Environment, node: EnvironmentNode): object | null {
  if (haproxy.shared === undefined) return null;
  const peer = nodes.find((each) => each.roles.includes('lb') && each.name !== node.name);
  const bits = network.vlan?.subnet.split('/')[1] ?? '';
  return { ...haproxy.shared, bits, own: node.vlanAddress ?? '', peer: peer?.vlanAddress ?? '' };
}

/** What every template of a node may use. `primary` is the Redis node that is primary now; only seeds may depend on it. */
export function templateVariables(
  environment: Environment,
  node: EnvironmentNode,
  primary: EnvironmentNode,
  secrets: FleetSecrets,
): Record<string, unknown> {
  const { redis, sentinel, app, haproxy, monitor } = environment;
  const named = ({ name, address }: EnvironmentNode) => ({ name, address });
  const byRole = roles.map((role): [Role, object[]] => [role, nodesOf(environment, role).map(named)]);
  return {
    environment: environment.name,
    node: named(node),
    primary: named(primary),
    nodes: Object.fromEntries(byRole),
    secret: {
      redis: secrets.redis.reveal(),
      sentinel: secrets.sentinel.reveal(),
      alerts: secrets.alerts?.reveal() ?? '',
      watchdog: secrets.watchdog?.reveal() ?? '',
    },
    all: environment.nodes.map(named),
    fired,
    redis,
    sentinel,
    app,
    haproxy: { ...haproxy, retries: retriesOf(app.holdMs, haproxy.responseTimeoutMs) },
    monitor,
    shared: sharedVariables(environment, node),
  };
}
