import { derivePassword } from '../../../actions/core/derive.ts';
import { loadEnvironment } from '../../../actions/core/environment/load.ts';
import { Secret } from '../../../actions/core/secret.ts';
import { buildReleases, readSources } from '../../../actions/rollout/release.ts';
import type { Release } from '../../../actions/rollout/release-types.ts';
import { environmentName } from '../../lab/paths.ts';
import { binaryPath } from '../../lab/pipeline.ts';
import { labSecrets } from '../../lab/secrets.ts';

/** The releases of the repository in `folder`, as the rollout renders them. */
export function releasesOf(folder: string): readonly Release[] {
  const environment = loadEnvironment(`${folder}/environments/${environmentName}.yaml`);
  const secret = new Secret(labSecrets().FIREDRILL_SECRET);
  const secrets = {
    redis: derivePassword(secret, environment.name, 'redis'),
    sentinel: derivePassword(secret, environment.name, 'sentinel'),
  };
  return buildReleases(readSources(environment, secrets, binaryPath, folder));
}

/** The releases in the order in which a rollout changed their nodes. Pure. */
export function inOrder(releases: readonly Release[], order: readonly string[]): readonly Release[] {
  return releases.toSorted((a, b) => order.indexOf(a.node) - order.indexOf(b.node));
}
