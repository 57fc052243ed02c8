import { existsSync } from 'node:fs';
import { FiredrillError } from '../../actions/core/errors.ts';
import { linodeApi } from '../../actions/core/linode/api.ts';
import { plainLog } from '../../actions/core/log.ts';
import { Secret } from '../../actions/core/secret.ts';
import { connectSsh } from '../../actions/core/ssh.ts';
import type { Mode } from '../../actions/rollout/inputs.ts';
import { run } from '../../actions/rollout/run.ts';
import { labFleet } from './inventory.ts';
import { environmentName } from './paths.ts';
import { binaryPath } from './pipeline.ts';
import { labSecrets } from './secrets.ts';

/** Runs the rollout action's code from the work tree, as an operator would by hand. Gives the exit code. */
export async function asked(mode: Mode, from: string, force = false): Promise<number> {
  if ((mode === 'apply' || mode === 'plan') && !existsSync(binaryPath)) {
    throw new FiredrillError({
      code: 'config',
      what: 'this lab has built no binary yet',
      fix: 'Run: npm run lab -- --keep',
    });
  }
  const { FIREDRILL_SECRET, LINODE_TOKEN } = labSecrets();
  const started = performance.now();
  const cancelled = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => cancelled.abort());
  const inputs = {
    environment: environmentName,
    mode,
    force,
    binary: binaryPath,
    fleetSecret: new Secret(FIREDRILL_SECRET),
    linodeToken: new Secret(LINODE_TOKEN),
  };
  const result = await run(inputs, {
    linode: linodeApi,
    connect: connectSsh,
    log: plainLog((line) => console.log(line)),
    mask: () => {},
    summary: async () => {},
    root: from,
    who: `lab-${process.pid}`,
    signal: cancelled.signal,
  });
  if (mode === 'apply' || mode === 'rollback') {
    const done = mode === 'apply' ? 'rolled out' : 'taken back';
    console.log(
      `${result.changed ? done : 'nothing to change'} in ${((performance.now() - started) / 1000).toFixed(2)} s`,
    );
  }
  return 0;
}

/** What `ssh` needs to log in to a node. */
export async function sshLogin(
  name: string,
): Promise<{ user: string; host: string; hostKey: string; privateKey: string }> {
  const { environment, inventory, deployKey } = await labFleet();
  const node = inventory.nodes.find((each) => each.name === name);
  if (node === undefined) {
    const names = inventory.nodes.map((each) => each.name).join(', ');
    throw new FiredrillError({ code: 'config', what: `no node is called ${name}`, fix: `Use one of ${names}` });
  }
  return {
    user: environment.ssh.user,
    host: node.publicAddress,
    hostKey: node.hostKey,
    privateKey: deployKey.reveal(),
  };
}
