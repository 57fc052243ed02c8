import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeMachines } from './linode-fakes.ts';
import { fleetSecret, type Rig, startRig, token } from './linode-setup.ts';

/** The action as Actions starts it, as a process of its own. */
function startAction(rig: Rig): ChildProcess {
  const child = spawn(`${process.cwd()}/node_modules/.bin/node`, [`${process.cwd()}/actions/provision/index.ts`], {
    cwd: rig.folder,
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      INPUT_ENVIRONMENT: 'lab',
      'INPUT_LINODE-TOKEN': token,
      INPUT_SECRET: fleetSecret.reveal(),
      INPUT_MODE: 'apply',
    },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

describe('kill -9 of the provision action', () => {
  it.each([1, 5, 11])('at creation %i leaves what the next run completes, without duplicates', async (fatal) => {
    let child: ChildProcess | undefined;
    let creates = 0;
    const rig = await startRig({
      machines: fakeMachines({ stepMs: 20 }),
      onRequest: (request) => {
        if (request.method !== 'POST' || !request.path.endsWith('/linode/instances')) return;
        creates += 1;
        if (creates === fatal) child?.kill('SIGKILL');
      },
    });
    rig.writeEnvironment();
    child = startAction(rig);
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    child = undefined;
    const before = rig.server.state().instances.length;
    expect(before).toBeGreaterThanOrEqual(fatal);
    const { inventory } = await rig.provision();
    expect(inventory?.nodes.map((node) => node.status)).toEqual(Array(11).fill('running'));
    expect(rig.machines.created.toSorted()).toEqual([...new Set(rig.machines.created)].toSorted());
    expect(rig.server.state().instances).toHaveLength(11);
    expect((await rig.provision()).changed).toBe(false);
  });
});
