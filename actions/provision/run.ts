import { join } from 'node:path';
import { loadEnvironment } from '../core/environment/load.ts';
import { deriveInventory, type Inventory, listEnvironment } from '../core/inventory.ts';
import type { LinodeApi, LinodeApiOptions } from '../core/linode/api.ts';
import type { Log } from '../core/log.ts';
import type { Ssh, SshTarget } from '../core/ssh.ts';
import { applyPlan } from './apply.ts';
import { describePlan, summaryMarkdown } from './describe.ts';
import type { ProvisionInputs } from './inputs.ts';
import { type Live, readLive } from './live.ts';
import { changes, type ProvisionPlan, planProvision } from './plan.ts';
import { preflight } from './preflight.ts';
import { prepare } from './prepare.ts';

export interface ProvisionDeps {
  readonly linode: (options: LinodeApiOptions) => LinodeApi;
  readonly connect: (target: SshTarget) => Promise<Ssh>;
  readonly log: Log;
  /** Registers a value that the log must not show. */
  readonly mask: (value: string) => void;
  readonly summary: (markdown: string) => Promise<void>;
  /** The repository's folder, '' for the working directory, which keeps the annotations' paths relative. */
  readonly root: string;
}

export interface ProvisionResult {
  /** Whether something was changed, or with mode plan would be. */
  readonly changed: boolean;
  readonly plan: ProvisionPlan;
  /** Undefined in mode plan while machines are missing. */
  readonly inventory: Inventory | undefined;
}

/** Makes Linode have what the environment names, or with mode plan says what it would do. Throws a FiredrillError. */
export async function run(inputs: ProvisionInputs, deps: ProvisionDeps): Promise<ProvisionResult> {
  const { fleetSecret, linodeToken } = inputs;
  deps.mask(linodeToken.reveal());
  deps.mask(fleetSecret.reveal());
  const environment = loadEnvironment(join(deps.root, 'environments', `${inputs.environment}.yaml`));
  const api = deps.linode({
    baseUrl: environment.linode.api,
    token: linodeToken,
    requestTimeoutMs: environment.linode.requestTimeoutMs,
    retry: {
      onRetry: (error, pauseMs) => deps.log.info(`${error.message}; again in ${(pauseMs / 1000).toFixed(1)} s`),
    },
  });
  const { deployKey, userData } = prepare(deps.root, environment, fleetSecret, deps.mask);
  const live = await readLive(environment, api);
  const plan = planProvision(environment, live);
  for (const line of describePlan(plan)) deps.log.info(line);
  for (const warning of plan.warnings) deps.log.warning(`${warning.what}. ${warning.fix}`);
  const missing = plan.machines.some((machine) => machine.instance === undefined);
  const apply = inputs.mode === 'apply';
  if (missing) await preflight(environment, api);
  if (apply) {
    const { log, connect } = deps;
    await applyPlan(plan, live, { environment, api, log, connect, secrets: { fleetSecret, deployKey }, userData });
  }
  const instances = await instancesAfter(plan, live, apply, () => listEnvironment(environment, api));
  const inventory = missing && !apply ? undefined : deriveInventory(environment, instances, fleetSecret);
  await deps.summary(summaryMarkdown(plan, inventory, apply));
  return { changed: changes(plan), plan, inventory };
}

/** The instances as they are now; asked for again only when something was done to them. */
async function instancesAfter(
  plan: ProvisionPlan,
  live: Live,
  applied: boolean,
  list: () => Promise<Live['instances']>,
): Promise<Live['instances']> {
  const same = plan.machines.every((machine) => machine.steps.length === 0 && !machine.settles);
  return applied && !same ? await list() : live.instances;
}
