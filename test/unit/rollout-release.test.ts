import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../actions/core/secret.ts';
import { manifestText, parseManifest } from '../../actions/rollout/manifest.ts';
import { buildReleases, bundle, readSources } from '../../actions/rollout/release.ts';
import { tar } from '../../actions/rollout/tar.ts';
import { releaseOf, secrets, sources } from './rollout-fixture.ts';

describe('a release', () => {
  it('is the same bytes and the same digest each time', async () => {
    const scripts = new Map([['apply.sh', Buffer.from('#!/bin/sh\n')]]);
    const [a, b] = [releaseOf('redis-1'), releaseOf('redis-1')];
    expect(a.digest).toBe(b.digest);
    expect((await bundle(a, scripts)).equals(await bundle(b, scripts))).toBe(true);
  });

  it('does not change when another node becomes primary: that is Redis’ and Sentinel’s to know', () => {
    const from = sources();
    const other = from.environment.nodes.find((node) => node.name === 'redis-3');
    const digests = (releases: ReturnType<typeof buildReleases>) => releases.map((release) => release.digest);
    expect(digests(buildReleases(from, other))).toEqual(digests(buildReleases(from)));
  });

  it('makes a new Redis a replica of the primary there is now, whoever the environment names', () => {
    const from = sources();
    const other = from.environment.nodes.find((node) => node.name === 'redis-3');
    const seeds = buildReleases(from, other).map((release) => release.seeds[0]?.content.toString('utf8') ?? '');
    expect(seeds[0]).toContain('replicaof 198.18.0.13 6379');
    expect(seeds[2]).not.toMatch(/^replicaof/m);
  });

  it('writes no replicaof and no sentinel monitor into what it owns', () => {
    for (const release of buildReleases(sources()))
      for (const file of release.files.filter((each) => each.template !== undefined))
        expect(file.content.toString('utf8'), file.path).not.toMatch(/^(replicaof|sentinel monitor|sentinel myid)/m);
  });

  it('names its files, not their content, in the manifest, which reads back', () => {
    const release = releaseOf('app-1');
    const text = manifestText(release);
    expect(text).not.toContain('redis-password');
    expect(parseManifest(text).files.map((file) => [file.path, file.mode, file.apply])).toEqual([
      ['/usr/local/bin/sessiond', '0755', 'restart'],
      ['/etc/sessiond/sessiond.conf', '0640', 'restart'],
      ['/etc/systemd/system/sessiond.service', '0644', 'restart'],
      ['/etc/default/prometheus-node-exporter', '0644', 'restart'],
      ['/etc/systemd/system/prometheus-node-exporter.service.d/firedrill.conf', '0644', 'restart'],
    ]);
  });

  it('renders HAProxy for a service without HTTP too', () => {
    const from = sources();
    const tcp = { ...from.environment, haproxy: { ...from.environment.haproxy, mode: 'tcp' as const } };
    const text = releaseOf('lb-1', { ...from, environment: tcp }).files[0]?.content.toString('utf8');
    expect(text).toContain('option tcp-check');
    expect(text).not.toContain('httpchk');
  });
});

describe('the archive', () => {
  it('is one that tar reads, with times, owners and order fixed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'firedrill-tar-'));
    try {
      const long = `${'deep/'.repeat(30)}file`;
      const entries = [
        { path: 'b', content: Buffer.from('two'), mode: 0o600 },
        { path: 'a', content: Buffer.alloc(1024, 1), mode: 0o700 },
        { path: long, content: Buffer.alloc(0), mode: 0o600 },
      ];
      expect((await tar(entries)).equals(await tar([...entries].reverse()))).toBe(true);
      execFileSync('tar', ['-xf', '-', '-C', folder], { input: await tar(entries) });
      expect(readFileSync(join(folder, 'b'), 'utf8')).toBe('two');
      expect(statSync(join(folder, 'a')).size).toBe(1024);
      expect(statSync(join(folder, 'a')).mode & 0o777).toBe(0o700);
      expect(statSync(join(folder, long)).mtimeMs).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it('holds release, seeds and scripts', async () => {
    const bytes = gunzipSync(await bundle(releaseOf('redis-2'), new Map([['apply.sh', Buffer.from('x')]])));
    const names = execFileSync('tar', ['-tf', '-'], { input: bytes, encoding: 'utf8' }).trim().split('\n');
    expect(names).toEqual([
      'files/etc/default/prometheus-node-exporter',
      'files/etc/redis/firedrill-redis-fence.conf',
      'files/etc/redis/firedrill.conf',
      'files/etc/systemd/system/firedrill-redis-follow.service',
      'files/etc/systemd/system/firedrill-redis-handoff.service',
      'files/etc/systemd/system/firedrill-redis-rejoin.service',
      'files/etc/systemd/system/prometheus-node-exporter.service.d/firedrill.conf',
      'files/etc/systemd/system/redis-server.service.d/firedrill.conf',
      'files/usr/local/lib/firedrill-redis-election.sh',
      'files/usr/local/lib/firedrill-redis-lib.sh',
      'files/usr/local/sbin/firedrill-redis-fence',
      'files/usr/local/sbin/firedrill-redis-follow',
      'files/usr/local/sbin/firedrill-redis-handoff',
      'files/usr/local/sbin/firedrill-redis-handover',
      'files/usr/local/sbin/firedrill-redis-leave',
      'files/usr/local/sbin/firedrill-redis-rejoin',
      'manifest',
      'node/apply.sh',
      'seeds/etc/redis/redis.conf',
    ]);
  });
});

describe('alerts that go somewhere', () => {
  it.each([
    ['github', { to: 'github' as const, repository: 'owner/name', api: 'https://api.github.com' }],
    ['webhook', { to: 'webhook' as const, url: '' }],
  ])('to %s want their secret before anything is touched', (to, alerts) => {
    const { environment } = sources();
    const wanted = { ...environment, monitor: { ...environment.monitor, alerts } };
    expect(() => readSources(wanted, secrets, '', '')).toThrow(`monitor.alerts sends to ${to}, which wants it`);
    expect(() => readSources(wanted, { ...secrets, alerts: new Secret('s') }, '', '')).not.toThrow();
  });
});
