import { describe, expect, test } from 'vitest';
import { invocations, runInside } from '../fleet/lab-command.ts';
import { from, holdPromises, lastLine, other, repaired, rolloutAt, slowApps, tell } from './fixture.ts';

holdPromises();

describe('two rollouts', () => {
  test('at once: one of them works, the other waits for it or says who is at work', async () => {
    slowApps();
    const first = await rolloutAt(/app-1 +switch/);
    const second = await runInside(['rollout', ...from()]);
    if (second.code !== 0) expect(second.output).toMatch(/run \w+ \(lab-\d+\) .*(alive|at work|lease)/);
    tell(`the second: ${lastLine(second.output)}`);
    expect((await first.ended).code, first.output()).toBe(0);
  });

  test.each([
    ['while its release waits for the confirmation', /app-1 +active/],
    ['between two nodes', /app-1 +confirm/],
  ])('an older one stops %s and goes on after a newer one: the node refuses it', async (_, line) => {
    slowApps();
    const older = await rolloutAt(line);
    if (older.child.pid === undefined) throw new Error('no process');
    process.kill(-older.child.pid, 'SIGSTOP');
    other.edit('configs/app/sessiond.service', (text) => text.replace('/bin/sleep 3', '/bin/sleep 1'));
    const newer = await repaired(from());
    expect(newer.output).toMatch(/app-2 +confirm/);
    const before = invocations();
    process.kill(-older.child.pid, 'SIGCONT');
    const { code, output } = await older.ended;
    expect(code, output).toBe(1);
    const refusal = /^.*a newer run \(\d+, by lab-\d+\) was here already; this one is \d+/m;
    expect(output).toMatch(refusal);
    tell(`the older: ${refusal.exec(output)?.[0]}`);
    expect(invocations()).toBe(before);
  });
});
