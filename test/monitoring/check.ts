/** Inside a sandbox: the native checkers and promtool's unit tests on what the rollout would bring to monitor-1. Fails with what they say. */
import { readdirSync, readFileSync } from 'node:fs';
import { clone } from '../lab/paths.ts';
import { run, writeInRoot } from '../sandbox/inside.ts';
import { environmentOf, place, releaseOf, releasesOf } from './fleet.ts';

const at = '/etc/prometheus';
for (const defaults of [false, true]) {
  place(releaseOf(releasesOf(environmentOf(defaults)), 'monitor-1'));
  for (const file of readdirSync(`${clone}/configs/prometheus/rules`))
    await run('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', `${at}/rules/${file}`]);
  await run('promtool', ['check', 'config', `${at}/prometheus.yml`]);
  await run('amtool', ['check-config', `${at}/alertmanager.yml`]);
  await run('prometheus-blackbox-exporter', ['--config.check', '--config.file', `${at}/blackbox.yml`]);
}

// Where alerts may go, each as Alertmanager reads it.
const mail = {
  to: 'mail' as const,
  address: 'a@example.org',
  from: 'b@example.org',
  smarthost: 'mx.example.org:587',
  user: 'b',
};
const ways = [
  { to: 'none' as const },
  { to: 'webhook' as const, url: '' },
  mail,
  { to: 'github' as const, repository: 'owner/name', api: 'https://api.github.com' },
];
for (const alerts of ways) {
  const environment = environmentOf(true);
  place(releaseOf(releasesOf({ ...environment, monitor: { ...environment.monitor, alerts } }), 'monitor-1'), '/ways');
  await run('amtool', ['check-config', '/ways/etc/prometheus/alertmanager.yml']);
}

// With the schema's limits, which the tests are written for.
for (const file of readdirSync(`${clone}/configs/prometheus/tests`)) {
  writeInRoot(`/tests/${file}`, readFileSync(`${clone}/configs/prometheus/tests/${file}`, 'utf8'));
  await run('promtool', ['test', 'rules', `/tests/${file}`]);
}

// Every expression of the dashboard, as a rule.
const expressions = JSON.parse(process.argv[2] ?? '[]') as string[];
const rules = expressions.map((expr, index) => ({ record: `dashboard:${index}`, expr }));
writeInRoot('/dashboard.yml', JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
await run('promtool', ['check', 'rules', '/dashboard.yml']);
console.log(`checked ${expressions.length} expressions of the dashboard`);
process.exit(0);
