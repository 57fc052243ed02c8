import { until } from '../core/deadline.ts';
import type { Environment } from '../core/environment/schema.ts';
import { FiredrillError } from '../core/errors.ts';
import { inventoryNode, sshTarget } from '../core/inventory.ts';
import type { LinodeApi } from '../core/linode/api.ts';
import type { Instance } from '../core/linode/names.ts';
import type { Secret } from '../core/secret.ts';
import type { Ssh, SshTarget } from '../core/ssh.ts';
import type { MachinePlan } from './plan.ts';
import { judge, type Watch } from './watch.ts';

export interface WaitDeps {
  readonly api: Pick<LinodeApi, 'bootInstance'>;
  readonly connect: (target: SshTarget) => Promise<Ssh>;
}

/** Waits until Linode says that the instance runs and nothing is under way. Throws when its last operation failed, or after `timeoutMs`. */
export async function waitRunning(
  environment: Environment,
  id: number,
  watch: Watch,
  api: WaitDeps['api'],
  timeoutMs: number,
): Promise<Instance> {
  let notBefore = performance.now();
  let off = 0;
  const verdict = await until(
    async () => {
      const sight = await watch.look(id, notBefore);
      const state = judge(sight);
      if (state instanceof FiredrillError) return state;
      if (state === 'running') return sight.instance;
      // An earlier run died between creation and boot. Twice, since Linode may be about to boot it by itself.
      off = state === 'off' ? off + 1 : 0;
      if (off === 2) {
        await api.bootInstance(id);
        notBefore = performance.now();
      }
      throw new Error(
        `status ${sight.instance?.status}, ${sight.event?.action ?? 'no event'} ${sight.event?.status ?? ''}`,
      );
    },
    { timeoutMs, intervalMs: environment.linode.pollIntervalMs, what: `Linode ${id} to run` },
  );
  if (verdict instanceof FiredrillError) throw verdict;
  return verdict;
}

/** Waits until the node answers ssh with the pinned host key. The connection is the caller's to close. */
export async function waitSsh(
  environment: Environment,
  { node }: MachinePlan,
  instance: Instance,
  secrets: { readonly fleetSecret: Secret; readonly deployKey: Secret },
  connect: WaitDeps['connect'],
  timeoutMs: number,
): Promise<Ssh> {
  const target = sshTarget(
    environment,
    inventoryNode(environment, node, instance, secrets.fleetSecret),
    secrets.deployKey,
  );
  // A machine that boots may swallow the first packets: better many short tries than one long.
  const short = { ...target, connectTimeoutMs: Math.min(3000, target.connectTimeoutMs) };
  let wrongKey = 0;
  const verdict = await until(
    async () => {
      try {
        return await connect(short);
      } catch (error) {
        const mismatch = error instanceof FiredrillError && /another host key/.test(error.facts.what);
        wrongKey = mismatch ? wrongKey + 1 : 0;
        if (mismatch && wrongKey === 3) return error;
        throw error;
      }
    },
    { timeoutMs, intervalMs: environment.linode.pollIntervalMs, what: `${node.name} to answer ssh` },
  );
  if (verdict instanceof FiredrillError) throw verdict;
  return verdict;
}

/** The result file stands when cloud-init is through; asking `cloud-init status` each time would cost half a second. */
const cloudInitCommand =
  'test -e /run/cloud-init/result.json || sudo cloud-init status --wait >/dev/null; cat /run/cloud-init/result.json';

/** Waits until cloud-init is done. Throws what it failed with. */
export async function waitCloudInit(ssh: Ssh, timeoutMs: number): Promise<void> {
  const { code, stdout, stderr } = await ssh.exec(cloudInitCommand, { timeoutMs });
  const errors = code === 0 ? cloudInitErrors(stdout) : [`left no result: ${stderr.trim() || `exit code ${code}`}`];
  if (errors.length === 0) return;
  throw new FiredrillError({
    code: 'remote',
    what: `cloud-init failed: ${errors.join('; ')}`,
    fix: 'Read /var/log/cloud-init.log on the node; user data is fixed at creation, so delete the Linode and run again',
  });
}

function cloudInitErrors(result: string): string[] {
  try {
    const { v1 } = JSON.parse(result) as { v1?: { errors?: unknown[] } };
    return (v1?.errors ?? []).map(String);
  } catch {
    return [`left a result that is no JSON: ${result.slice(0, 200)}`];
  }
}
