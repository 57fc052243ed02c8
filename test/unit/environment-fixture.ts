import { readFileSync } from 'node:fs';
import { parseEnvironment } from '../../actions/core/environment/load.ts';
import type { Environment } from '../../actions/core/environment/schema.ts';
import { type Instance, labelOf, tagsOf } from '../../actions/core/linode/names.ts';

/** environments/lab.yaml, parsed. */
export function labEnvironment(): Environment {
  return parseEnvironment(labEnvironment.text, 'environments/lab.yaml');
}
labEnvironment.text = readFileSync('environments/lab.yaml', 'utf8');

/** One running Linode for each node, as provision leaves them: ids from 1001, addresses from 198.19.0.11. */
export function instances(environment: Environment): Instance[] {
  return environment.nodes.map((node, index) => ({
    id: 1001 + index,
    label: labelOf(environment, node),
    status: 'running',
    type: node.type ?? environment.linode.type,
    region: environment.linode.region,
    tags: tagsOf(environment, node),
    ipv4: [`198.19.0.${11 + index}`],
  }));
}
