import { nodesOf } from '../core/environment/nodes.ts';
import { type Environment, type EnvironmentNode, type Role, roles } from '../core/environment/schema.ts';
import type { Secret } from '../core/secret.ts';

export interface FleetSecrets {
  readonly redis: Secret;
  readonly sentinel: Secret;
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
    secret: { redis: secrets.redis.reveal(), sentinel: secrets.sentinel.reveal() },
    redis,
    sentinel,
    app,
    haproxy,
    monitor,
  };
}
