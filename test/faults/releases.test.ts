import { expect, test } from 'vitest';
import { invocations, runInside } from '../fleet/lab-command.ts';
import { from, holdPromises, lastLine, on, other, slowApps, tell } from './fixture.ts';

holdPromises();

test('the disk is full: refused before anything is changed, with the reason', async () => {
  slowApps();
  // A small disk of its own: the machines share the one that they lie on.
  const folder = '/var/lib/firedrill';
  await on(
    'app-2',
    `mkdir /run/small; mount -t tmpfs -o size=$(($(du -sk ${folder} | cut -f 1) + 8192))k small /run/small; cp -a ${folder}/. /run/small; mount --bind /run/small ${folder}`,
  );
  const before = invocations();
  const { code, output } = await runInside(['rollout', ...from()]);
  await on('app-2', `umount ${folder} /run/small; rmdir /run/small`);
  expect(code, output).toBe(1);
  expect(output).toMatch(/app-2.*(the disk has \d+ MB left|No space left)/s);
  tell(/^.*(the disk has \d+ MB left|No space left).*$/m.exec(output)?.[0] ?? '');
  expect(invocations()).toBe(before);
});

test('a release passes the checker and fails the gate: taken back, told with evidence, refused until it is forced', async () => {
  other.edit('configs/app/sessiond.service', (text) => text.replace('--port {{ app.port }}', '--port 8081'));
  other.edit('environments/lab.yaml', (text) =>
    text.replace('canaryMs: 1000', 'canaryMs: 1000\n  progressTimeoutMs: 5000'),
  );
  const failed = await runInside(['rollout', ...from()]);
  expect(failed.code, failed.output).toBe(1);
  expect(failed.output).toMatch(/app-1, gate: no(t reached| progress)/);
  expect(failed.output).toMatch(/journal of sessiond/);
  expect(failed.output).toMatch(/\+ .*--port 8081/);
  tell(/^app-1, gate: .*$/m.exec(failed.output)?.[0] ?? '');
  expect((await runInside(['rollout'])).output).toMatch(/nothing to change/);
  const again = await runInside(['rollout', ...from()]);
  expect(again.output).toMatch(/refused, nothing was changed\n *app-1: release \w+ failed in run/);
  tell('the same again was refused');
  const forced = await runInside(['rollout', '--force', ...from()]);
  expect(forced.output).toMatch(/app-1 +switch/);
  expect(forced.code).toBe(1);
});

test('a binary crashes after 10 s: the canary finds it, and the nodes before it go back too', async () => {
  other.edit('configs/app/sessiond.service', (text) =>
    text.replace(/^ExecStart=(.*)$/m, "ExecStart=/bin/sh -c '(sleep 10; kill -SEGV $$$$$$$$) & exec $1'"),
  );
  other.edit('configs/sentinel/redis-sentinel.service.conf', (text) => `${text}\n# another release\n`);
  other.edit('environments/lab.yaml', (text) => text.replace('canaryMs: 1000', 'canaryMs: 12000'));
  const { code, output } = await runInside(['rollout', ...from()]);
  expect(code, output).toBe(1);
  expect(output).toMatch(/app-1, gate: .*(started it again|well and lost it)/);
  expect(output).toMatch(/sentinel-3, sentinel-2, sentinel-1: taken back/);
  tell(/^app-1, gate: .*$/m.exec(output)?.[0] ?? '');
  expect((await runInside(['rollout'])).output).toMatch(/nothing to change/);
});

test('a rollback takes the nodes of the last rollout back, and nothing else', async () => {
  other.edit('environments/lab.yaml', (text) => text.replace('checkIntervalMs: 250', 'checkIntervalMs: 400'));
  const before = (await runInside(['status'])).output;
  expect((await runInside(['rollout', ...from()])).code).toBe(0);
  const { code, output } = await runInside(['rollback']);
  expect(code, output).toBe(0);
  expect(output).toMatch(/lb-1 +confirm/);
  expect(output).not.toMatch(/app-1 +switch/);
  tell(lastLine(output));
  const release = (text: string) => /^lb-1 .*release (\w+)/m.exec(text)?.[1];
  expect(release((await runInside(['status'])).output)).toBe(release(before));
});
