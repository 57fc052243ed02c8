import { loadEnvironment } from '../../actions/core/environment/load.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { Fleet } from '../../actions/drill/fleet.ts';
import { realDeps } from '../../actions/drill/run.ts';
import { clone, environmentName } from '../lab/paths.ts';
import { labSecrets } from '../lab/secrets.ts';

/** The lab's secrets, as an action gets them. */
export function secrets(): { fleetSecret: Secret; linodeToken: Secret } {
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  return { fleetSecret: new Secret(FIREDRILL_SECRET), linodeToken: new Secret(LINODE_TOKEN) };
}

/** The lab's fleet as a drill reaches it. The caller closes it. */
export async function drillFleet(): Promise<Fleet> {
  const nothing = { env: {}, mask: () => {}, writeSummary: async () => {}, log: plainLog(() => {}) };
  const deps = realDeps({ ...nothing, signal: new AbortController().signal });
  const inputs = {
    environment: environmentName,
    scenarios: [],
    repeat: 1,
    githubToken: undefined,
    out: '',
    runs: '',
  } as const;
  const environment = loadEnvironment(`${clone}/environments/${environmentName}.yaml`);
  return await deps.openFleet({ ...inputs, ...secrets() }, environment);
}
