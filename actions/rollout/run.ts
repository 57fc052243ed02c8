import { join } from 'node:path';
import { deriveDeployKey, derivePassword } from '../core/derive.ts';
import { loadEnvironment } from '../core/environment/load.ts';
import type { Environment } from '../core/environment/schema.ts';
import { type Inventory, readInventory } from '../core/inventory.ts';
import type { LinodeApi, LinodeApiOptions } from '../core/linode/api.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { Ssh, SshTarget } from '../core/ssh.ts';
import { closeFleet, connectFleet, mustReachAll, type Reach } from './connect.ts';
import { readFleet } from './fleet.ts';
import type { RolloutInputs } from './inputs.ts';
import { readSources } from './release.ts';
import type { RolloutReport } from './report.ts';
import { rollOut } from './rollout.ts';
import { fleetStatus, type NodeStatus, statusTable } from './status.ts';
import { fleetSecrets } from './variables.ts';

interface RolloutDeps {
  readonly linode: (options: LinodeApiOptions) => LinodeApi;
  readonly connect: (target: SshTarget) => Promise<Ssh>;
  readonly log: Log;
  /** Registers a value that the log must not show. */
  readonly mask: (value: string) => void;
  readonly summary: (markdown: string) => Promise<void>;
  /** The repository's folder, '' for the working directory. */
  readonly root: string;
  /** Who is at work, for whom finds the nodes leased; one word. */
  readonly who: string;
  /** Aborts when the run is to end: no new node is begun then. */
  readonly signal: AbortSignal;
  /** Called with the report as soon as there is one, also before it throws. */
  readonly onReport?: (report: RolloutReport) => void;
  /** Instead of Linode's list of machines. */
  readonly inventory?: (environment: Environment, fleetSecret: Secret) => Promise<Inventory>;
}

interface RolloutResult {
  /** Whether something was changed, or with mode plan would be. */
  readonly changed: boolean;
  /** With every mode but status. */
  readonly report: RolloutReport | undefined;
  /** With mode status. */
  readonly status: readonly NodeStatus[] | undefined;
}

/** Rolls out, plans, or says how the fleet is. Throws a FiredrillError; by then the log and the summary say how far it came. */
export async function run(inputs: RolloutInputs, deps: RolloutDeps): Promise<RolloutResult> {
  const { fleetSecret, linodeToken } = inputs;
  const environment = loadEnvironment(join(deps.root, 'environments', `${inputs.environment}.yaml`));
  const secrets = {
    redis: derivePassword(fleetSecret, environment.name, 'redis'),
    sentinel: derivePassword(fleetSecret, environment.name, 'sentinel'),
    alerts: inputs.alertSecret,
    watchdog: inputs.watchdogUrl,
  };
  const hidden = [fleetSecret, linodeToken, ...fleetSecrets(secrets)];
  for (const secret of hidden) deps.mask(secret.reveal());
  const deployKey = deriveDeployKey(fleetSecret, environment.name).privateKey;
  for (const line of keyLines(deployKey)) deps.mask(line);
  // Rendered before anything is asked of any machine: a broken template ends here.
  const { mode, force } = inputs;
  const sources = mode === 'status' ? undefined : readSources(environment, secrets, inputs.binary, deps.root);
  const reach = await reachFleet(environment, inputs, deployKey, deps);
  try {
    if (mode === 'status' || sources === undefined) return await tellStatus(environment, reach, deps);
    const report = await rollOut(sources, mustReachAll(reach), { mode, force }, deps);
    return { changed: report.changed, report, status: undefined };
  } finally {
    closeFleet(reach.fleet);
  }
}

/** A log is masked line by line. What is short, at the key's end, is padding, and would be masked wherever it occurs. */
function keyLines(key: Secret): string[] {
  return key
    .reveal()
    .split('\n')
    .filter((line) => line.length > 8 && !line.startsWith('-----'));
}

async function reachFleet(
  environment: Environment,
  inputs: RolloutInputs,
  deployKey: Secret,
  deps: RolloutDeps,
): Promise<Reach> {
  const api = () =>
    deps.linode({
      baseUrl: environment.linode.api,
      token: inputs.linodeToken,
      requestTimeoutMs: environment.linode.requestTimeoutMs,
    });
  const inventory = await (deps.inventory ?? ((env, secret) => readInventory(env, api(), secret)))(
    environment,
    inputs.fleetSecret,
  );
  const changes = inputs.mode === 'apply' || inputs.mode === 'rollback';
  return await connectFleet(environment, inventory, deployKey, deps.connect, changes);
}

async function tellStatus(environment: Environment, reach: Reach, deps: RolloutDeps): Promise<RolloutResult> {
  const status = fleetStatus(environment, await readFleet(environment, reach.fleet, reach.fleet.keys(), 'state'));
  for (const line of statusTable(status).split('\n')) deps.log.info(line);
  for (const failure of reach.failures) deps.log.warning(failure.message);
  return { changed: false, report: undefined, status };
}
