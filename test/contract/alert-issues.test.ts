import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { notInstalled } from '../host/tools.mjs';
import { environmentOf, releaseOf, releasesOf } from '../monitoring/fleet.ts';

interface Issue {
  readonly number: number;
  title: string;
  body: string;
  state: string;
  readonly labels: readonly string[];
}

const issues: Issue[] = [];
const seen: string[] = [];
let refuse = false;
let github: Server;
let receiver: ChildProcess;
let folder = '';
let url = '';
const missing = notInstalled(['python3']);

beforeAll(async () => {
  if (missing !== undefined) return;
  github = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as Partial<Issue>);
    seen.push(`${request.method} ${request.headers.authorization}`);
    const number = Number(/issues\/(\d+)$/.exec(request.url ?? '')?.[1]);
    if (refuse) response.statusCode = 500;
    else if (request.method === 'POST')
      issues.push({ number: issues.length + 1, state: 'open', labels: [], title: '', body: '', ...body });
    else if (request.method === 'PATCH') Object.assign(issues[number - 1] ?? {}, body);
    response.end(JSON.stringify(request.method === 'GET' ? issues.filter((each) => each.state === 'open') : {}));
  });
  await new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve));
  const api = `http://127.0.0.1:${(github.address() as AddressInfo).port}`;
  const environment = environmentOf(true);
  const alerts = { to: 'github' as const, repository: 'owner/name', api };
  const release = releaseOf(releasesOf({ ...environment, monitor: { ...environment.monitor, alerts } }), 'monitor-1');
  expect(release.units).toContain('firedrill-alert-issues');
  folder = mkdtempSync(join(tmpdir(), 'firedrill-alerts-'));
  const script = release.files.find((file) => file.path.endsWith('.py'))?.content ?? '';
  writeFileSync(join(folder, 'receiver.py'), script);
  writeFileSync(join(folder, 'token'), 'the-token\n');
  const free = createServer().listen(0, '127.0.0.1');
  await sleep(20);
  const port = (free.address() as AddressInfo).port;
  free.close();
  url = `http://127.0.0.1:${port}/`;
  const env = { ...process.env, CREDENTIALS_DIRECTORY: folder, PORT: String(port) };
  receiver = spawn('python3', [join(folder, 'receiver.py')], { env, stdio: 'ignore' });
  for (let tries = 0; tries < 100; tries += 1)
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      break;
    else await sleep(50);
}, 20_000);
beforeEach(({ skip }) => {
  if (missing !== undefined) skip(missing);
});
afterAll(() => {
  receiver?.kill();
  github?.close();
  if (folder !== '') rmSync(folder, { recursive: true, force: true });
});

async function send(status: 'firing' | 'resolved', summary: string): Promise<number> {
  const annotations = { summary, runbook: 'configs/prometheus/runbooks/RedisDown.md' };
  const alert = { status, startsAt: '2026-01-01T00:00:00Z', labels: {}, annotations };
  const message = { status, groupLabels: { alertname: 'RedisDown' }, commonAnnotations: annotations, alerts: [alert] };
  return (await fetch(url, { method: 'POST', body: JSON.stringify(message) })).status;
}

it('keeps one issue for an alert, closes it when it is over, and opens a new one the next time', async () => {
  expect(await send('firing', 'redis-1 is down')).toBe(204);
  expect(await send('firing', 'redis-2 is down too')).toBe(204);
  expect(issues.map((each) => [each.title, each.state])).toEqual([['lab: RedisDown', 'open']]);
  expect(issues[0]?.body).toContain('redis-2 is down too');
  expect(issues[0]?.body).toContain('configs/prometheus/runbooks/RedisDown.md');
  expect(await send('resolved', 'redis-1 is down')).toBe(204);
  expect(await send('firing', 'again')).toBe(204);
  expect(issues.map((each) => each.state)).toEqual(['closed', 'open']);
  expect(new Set(seen.map((each) => each.split(' ').slice(1).join(' ')))).toEqual(new Set(['Bearer the-token']));
});

it('tells Alertmanager to try again when GitHub refuses', async () => {
  refuse = true;
  expect(await send('firing', 'x')).toBe(502);
});

it('is not there where alerts go elsewhere', () => {
  expect(releaseOf(releasesOf(environmentOf(true)), 'monitor-1').units).not.toContain('firedrill-alert-issues');
});
