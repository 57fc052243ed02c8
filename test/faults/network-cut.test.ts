import { describe, expect, test } from 'vitest';
import { sleep, until } from '../../actions/core/deadline.ts';
import type { Started } from '../fleet/lab-command.ts';
import { run } from '../lab/machines/exec.ts';
import { machineId } from '../lab/machines/lab.ts';
import { inNamespace } from '../lab/machines/network.ts';
import { environmentName, lab } from '../lab/paths.ts';
import { from, holdPromises, lastLine, on, other, repaired, rolloutAt, slowApps, tell } from './fixture.ts';

holdPromises();

const chain = 'table inet cut { chain input { type filter hook input priority 0; }; }';
const all = 'tcp dport 22 drop';
const newConnections = 'tcp dport 22 tcp flags & (syn | ack) == syn drop';

/** The error of a run; one that could not connect says first where to. */
const namesIt = /^(ssh \S+, )?app-1[,:].*$/m;

const nft = (node: string, rules: string) =>
  run(inNamespace(machineId(lab, `firedrill-${environmentName}-${node}`), ['nft', rules]));

/** From this moment on the node takes no packet that matches; what it does with its neighbours goes on. */
async function cut(node: string, packets: string): Promise<void> {
  await nft(node, `${chain}\nadd rule inet cut input ${packets}`);
}

/** No ssh to the node from this moment on, for so long. Resolves when that is over. */
async function cutOff(node: string, seconds: number): Promise<void> {
  await cut(node, all);
  await sleep(seconds * 1000);
  await nft(node, 'delete table inet cut');
}

/** That is longer than three connections try. The run ends and names the node; the next one repairs. */
async function endsAfterCut(rollout: Started): Promise<void> {
  const healed = cutOff('app-1', 40);
  const { code, output } = await rollout.ended;
  expect(code, output).toBe(1);
  tell(namesIt.exec(output)?.[0] ?? `the run ended with ${lastLine(output)}`);
  expect(output).toMatch(namesIt);
  tell(`the next run ${lastLine((await repaired(from())).output)}`);
  await healed;
}

/** Another release of the apps, and a gate that gives up soon. */
function impatientApps(): void {
  slowApps();
  other.edit('environments/lab.yaml', (text) =>
    text.replace('canaryMs: 4000', 'canaryMs: 4000\n  progressTimeoutMs: 8000'),
  );
}

describe('the network to the node is cut', () => {
  test.each([
    ['while it stages', /app-1 +users/],
    ['while it is drained', /app-1 +survive/],
    ['while it restarts its service', /app-1 +switch/],
    ['while it watches its service', /app-1 +restart/],
    ['during the gate', /app-1 +active/],
  ])('for 40 s %s: the run ends and says so, the next one repairs', async (_, line) => {
    impatientApps();
    await endsAfterCut(await rolloutAt(line));
  });

  test('for 40 s before the confirmation: the run ends and says so, the next one repairs', async () => {
    impatientApps();
    const rollout = await rolloutAt(/app-1 +switch/);
    // The confirmation takes a connection of its own, and is told within milliseconds after the gate: it must not have been made by then.
    await cut('app-1', newConnections);
    const passed = async () => (/app-1 +gate/.test(rollout.output()) ? true : undefined);
    await until(passed, { timeoutMs: 60_000, intervalMs: 5, what: 'the gate of app-1' });
    await endsAfterCut(rollout);
  });

  test('for 10 s during the gate: the run finds the node again and goes on', async () => {
    slowApps();
    const rollout = await rolloutAt(/app-1 +active/);
    await cutOff('app-1', 10);
    const { code, output } = await rollout.ended;
    expect(code, output).toBe(0);
    tell(lastLine(output));
  });
});

describe('the node is rebooted', () => {
  test.each([
    ['while it restarts its service', /app-1 +switch/],
    ['while its release waits for the confirmation', /app-1 +active/],
  ])('%s: the run goes on when it is back, or ends and names it, and the next one repairs', async (_, line) => {
    slowApps();
    const rollout = await rolloutAt(line);
    await on('app-1', 'systemctl --no-block reboot');
    const { code, output } = await rollout.ended;
    if (code !== 0) expect(output).toMatch(namesIt);
    tell(code === 0 ? 'the run waited for it and went on' : (namesIt.exec(output)?.[0] ?? ''));
    tell(`the next run ${lastLine((await repaired(from())).output)}`);
  });
});
