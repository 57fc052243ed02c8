import { describe, expect, test } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { runInside } from '../fleet/lab-command.ts';
import {
  from,
  holdPromises,
  kill,
  lastLine,
  other,
  redisRoles,
  repaired,
  rolloutAt,
  slowApps,
  tell,
} from './fixture.ts';

holdPromises();

describe('the runner is killed', () => {
  test.each([
    ['while the node unpacks the release', /app-1 +users/],
    ['while the node checks the release', /app-1 +stage/],
    ['while the node is drained', /app-1 +survive/],
    ['while the node arms its dead-man', /app-1 +drain/],
    ['while the node restarts its service', /app-1 +switch/],
    ['while the node watches its service', /app-1 +restart/],
    ['during the gate', /app-1 +active/],
    ['before the confirmation', /app-1 +gate/],
    ['between two nodes', /app-1 +confirm/],
  ])('%s: the next run repairs, and the one after it has nothing to change', async (_, line) => {
    slowApps();
    await kill(await rolloutAt(line));
    const next = await repaired(from());
    expect(next.output).toMatch(/app-2 +confirm/);
    tell(`the next run ${/left release/.test(next.output) ? 'took app-1 back, then ' : ''}${lastLine(next.output)}`);
    expect((await runInside(['rollout', ...from()])).output).toMatch(/nothing to change/);
  });

  test('right after the primary has handed over: the next run repairs, and the one after it has nothing to change', async () => {
    other.edit('configs/redis/redis-server.service.conf', (text) => `${text}\n# another release\n`);
    other.edit('environments/lab.yaml', (text) => text.replace('canaryMs: 1000', 'leaseMs: 12000\n  canaryMs: 1000'));
    const { primary } = await redisRoles();
    await kill(await rolloutAt(new RegExp(`${primary} +handover`)));
    tell(`${primary} had handed over to ${(await redisRoles()).primary}`);
    tell(`the next run ${lastLine((await repaired(from())).output)}`);
    expect((await runInside(['rollout', ...from()])).output).toMatch(/nothing to change/);
  });

  test('and nobody comes after it: the node goes back by itself', async () => {
    slowApps();
    other.edit('environments/lab.yaml', (text) =>
      text.replace('canaryMs: 4000', 'canaryMs: 4000\n  gateTimeoutMs: 6000'),
    );
    const before = appReleases((await runInside(['status'])).output);
    await kill(await rolloutAt(/app-1 +active/));
    expect((await runInside(['status'])).output).toMatch(/app-1 .*unconfirmed for \d+ s/);
    const started = performance.now();
    const { output } = await until(
      async () => {
        const status = await runInside(['status']);
        return /unconfirmed/.test(status.output) ? undefined : status;
      },
      { timeoutMs: 120_000, intervalMs: 2000, what: 'the dead-man of app-1' },
    );
    tell(`app-1 went back by itself after ${((performance.now() - started) / 1000).toFixed(0)} s`);
    expect(appReleases(output)).toEqual(before);
    expect((await runInside(['rollout'])).output).toMatch(/nothing to change/);
  });
});

function appReleases(status: string): string[] {
  return [...status.matchAll(/^app-\d .*release (\w+)/gm)].map((match) => match[1] ?? '');
}
