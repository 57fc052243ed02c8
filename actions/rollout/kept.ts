import type { EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import type { NodeFacts } from './facts.ts';
import { type NodePlan, planNode } from './plan.ts';
import type { Release, ReleaseFile } from './release-types.ts';

/**
 * What takes the fleet back to where it was before the last run that changed it: the nodes of that run, each to the release that it had.
 * The facts were asked for with `any`. Throws a FiredrillError (`config`) when there is nothing to go back to. Pure.
 */
export function planRollback(nodes: readonly EnvironmentNode[], facts: ReadonlyMap<string, NodeFacts>): NodePlan[] {
  const changed = [...facts.values()].filter((each) => each.last !== undefined && each.last.to === each.current);
  const newest = Math.max(0, ...changed.map((each) => each.last?.generation ?? 0));
  const plans = nodes.flatMap((node): NodePlan[] => {
    const each = changed.find((candidate) => candidate.node === node.name && candidate.last?.generation === newest);
    if (each?.last?.from === undefined || each.last.from === each.current) return [];
    return [planNode(keptRelease(node, each.last.from, each), each)];
  });
  if (plans.length > 0) return plans;
  throw new FiredrillError({
    code: 'config',
    phase: 'rollback',
    what: 'no node has a release of before its last change',
    fix: 'Revert the commit and roll that out instead',
  });
}

/** A release that lies on its node, from what the node told of it. Throws a FiredrillError (`remote`) when it is not there any more. */
function keptRelease(node: EnvironmentNode, digest: string, facts: NodeFacts): Release {
  const manifest = facts.manifests[digest];
  if (manifest === undefined)
    throw new FiredrillError({
      code: 'remote',
      node: node.name,
      phase: 'rollback',
      what: `release ${digest.slice(0, 12)} is not on this node any more`,
      fix: 'Revert the commit and roll that out instead',
    });
  const files = manifest.files.map((file): ReleaseFile => {
    const text = facts.contents[`${digest} ${file.path}`];
    return {
      ...file,
      checker: undefined,
      content: Buffer.from(text ?? ''),
      template: text === undefined ? undefined : { file: file.path, lines: [] },
    };
  });
  const { packages, units, text } = manifest;
  const none = { groups: [], users: [], directories: [], seeds: [] };
  return { ...none, node: node.name, roles: node.roles, digest, packages, units, files, kept: text };
}
