import { Liquid } from 'liquidjs';
import { deriveDeployKey, deriveHostKey } from '../core/derive.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { Secret } from '../core/secret.ts';

/** Relative to the repository. */
export const userDataTemplate = 'configs/cloud-init/user-data.yaml';

/** What Linode takes, in base64 (bytes). */
const limit = 16_384;

/**
 * A node's cloud-config. It holds one secret, the node's own ssh host key, and no other.
 * @param template the text of `userDataTemplate`
 * Throws a FiredrillError (`config`) with template:line on an unknown variable, and when the result is too long for Linode.
 */
export function renderUserData(
  template: string,
  environment: Environment,
  node: EnvironmentNode,
  fleetSecret: Secret,
): Secret {
  const hostKey = deriveHostKey(fleetSecret, environment.name, node.name);
  const liquid = new Liquid({ strictVariables: true, strictFilters: true, ownPropertyOnly: true });
  let text: string;
  try {
    text = liquid.parseAndRenderSync(template, {
      node: { name: node.name },
      nodes: environment.nodes.map(({ name, address }) => ({ name, address })),
      ssh: { user: environment.ssh.user, port: environment.ssh.port },
      hostKey: { private: hostKey.privateKey.reveal(), public: hostKey.publicLine },
      authorizedKeys: [deriveDeployKey(fleetSecret, environment.name).publicLine, ...environment.ssh.authorizedKeys],
    });
  } catch (error) {
    throw templateError(error);
  }
  const size = Buffer.from(text).toString('base64').length;
  if (size > limit) {
    throw new FiredrillError({
      code: 'config',
      node: node.name,
      where: userDataTemplate,
      what: `the user data has ${size} bytes in base64, Linode takes ${limit}`,
      fix: 'Name fewer ssh.authorizedKeys, or move what is long from cloud-init to the rollout',
    });
  }
  return new Secret(text);
}

function templateError(error: unknown): FiredrillError {
  // Liquid's message ends with "line:12, col:3"; its further lines quote the template.
  const [, what = messageOf(error), line] = /^(.*?)(?:, line:(\d+).*)?$/s.exec(messageOf(error)) ?? [];
  return new FiredrillError({
    code: 'config',
    where: line === undefined ? userDataTemplate : `${userDataTemplate}:${line}`,
    what,
    fix: 'Correct the template',
  });
}
