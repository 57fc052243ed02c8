import { deriveDeployKey } from '../../actions/core/derive.ts';
import { loadEnvironment } from '../../actions/core/environment/load.ts';
import type { Environment } from '../../actions/core/environment/schema.ts';
import { type Inventory, readInventory } from '../../actions/core/inventory.ts';
import { linodeApi } from '../../actions/core/linode/api.ts';
import { Secret } from '../../actions/core/secret.ts';
import { clone, environmentName } from './paths.ts';
import { labSecrets } from './secrets.ts';

/** The lab's fleet: what is described, which machines there are, and the key to log in to them. */
export interface LabFleet {
  readonly environment: Environment;
  readonly inventory: Inventory;
  readonly deployKey: Secret;
}

/** Asks the lab's Linode API, so inside the lab's network. Throws a FiredrillError when a machine is missing. */
export async function labFleet(): Promise<LabFleet> {
  const environment = loadEnvironment(`${clone}/environments/${environmentName}.yaml`);
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  const secret = new Secret(FIREDRILL_SECRET);
  const { api: baseUrl, requestTimeoutMs } = environment.linode;
  const api = linodeApi({ baseUrl, token: new Secret(LINODE_TOKEN), requestTimeoutMs });
  const inventory = await readInventory(environment, api, secret);
  return { environment, inventory, deployKey: deriveDeployKey(secret, environment.name).privateKey };
}
