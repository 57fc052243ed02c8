import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deriveDeployKey, deriveHostKey } from '../core/derive.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import { renderUserData, userDataTemplate } from './user-data.ts';

export interface Prepared {
  readonly deployKey: Secret;
  /** A node's user data. */
  readonly userData: (node: EnvironmentNode) => Secret;
}

/**
 * All that a node would get, rendered before anything is asked or changed, so that a broken template stops a run in which no
 * machine would have needed it. Every derived secret is given to `mask`, line by line, since a log is masked by lines.
 */
export function prepare(
  root: string,
  environment: Environment,
  fleetSecret: Secret,
  mask: (value: string) => void,
): Prepared {
  const deployKey = deriveDeployKey(fleetSecret, environment.name).privateKey;
  const hostKeys = environment.nodes.map((node) => deriveHostKey(fleetSecret, environment.name, node.name).privateKey);
  for (const key of [deployKey, ...hostKeys]) {
    for (const line of key.reveal().split('\n')) if (line.length >= 8 && !line.startsWith('-----')) mask(line);
  }
  const template = readTemplate(root);
  const rendered = new Map(
    environment.nodes.map((node) => [node.name, renderUserData(template, environment, node, fleetSecret)]),
  );
  const userData = (node: EnvironmentNode) => {
    const text = rendered.get(node.name);
    if (text === undefined)
      throw new FiredrillError({ code: 'bug', node: node.name, what: 'no user data was rendered' });
    return text;
  };
  return { deployKey, userData };
}

function readTemplate(root: string): string {
  try {
    return readFileSync(join(root, userDataTemplate), 'utf8');
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      where: userDataTemplate,
      what: messageOf(error),
      fix: 'Check the repository out before this action, and keep the file',
      cause: error,
    });
  }
}
