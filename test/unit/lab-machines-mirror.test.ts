import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ensureArtefact } from '../lab/machines/cache.ts';
import { withLock } from '../lab/machines/lock.ts';
import { fileOf, type Mirror, serveMirror } from '../lab/machines/mirror.ts';
import { parseEntries, writeIndex } from '../lab/machines/mirror-index.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-unit-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

// As apt-cache prints them: the archive's entry, and dpkg's own without a Filename.
const shown = `Package: redis-server
Version: 5:8.0.2-3+deb13u3
Architecture: amd64
Filename: pool/main/r/redis/redis-server_8.0.2-3+deb13u3_amd64.deb
Size: 10
SHA256: abc

Package: adduser
Version: 3.152
Architecture: all
Status: install ok installed

Package: libuv1t64
Version: 1.50.0-2
Architecture: amd64
Filename: pool/main/libu/libuv1/libuv1t64_1.50.0-2_amd64.deb
SHA256: def
`;

describe('the index', () => {
  test('is made of the archive’s own entries, by the names that the archive uses', () => {
    expect(parseEntries(shown).map(({ downloaded, file }) => ({ downloaded, file }))).toEqual([
      {
        downloaded: 'redis-server_5%3a8.0.2-3+deb13u3_amd64.deb',
        file: 'redis-server_8.0.2-3+deb13u3_amd64.deb',
      },
      { downloaded: 'libuv1t64_1.50.0-2_amd64.deb', file: 'libuv1t64_1.50.0-2_amd64.deb' },
    ]);
  });

  test('lists each package where it lies, with the hash that the archive signed', () => {
    download('redis-server_5%3a8.0.2-3+deb13u3_amd64.deb', 'libuv1t64_1.50.0-2_amd64.deb');
    writeIndex(folder);
    const packages = readFileSync(`${folder}/Packages`, 'utf8');
    expect(packages).toContain('SHA256: abc\nFilename: ./redis-server_8.0.2-3+deb13u3_amd64.deb\n');
    expect(packages).not.toContain('adduser');
    expect(packages).not.toContain('pool/');
    expect(readFileSync(`${folder}/Release`, 'utf8')).toMatch(/SHA256:\n [0-9a-f]{64} \d+ Packages\n/);
    expect(readdirSync(folder).sort()).toEqual([
      'Packages',
      'Release',
      'libuv1t64_1.50.0-2_amd64.deb',
      'redis-server_8.0.2-3+deb13u3_amd64.deb',
    ]);
  });

  test('is refused when a package has no entry', () => {
    download('redis-server_5%3a8.0.2-3+deb13u3_amd64.deb', 'stray_1_all.deb');
    expect(() => writeIndex(folder)).toThrow(/2 packages were downloaded, but the index has 1/);
  });

  function download(...files: string[]): void {
    mkdirSync(`${folder}/partial`);
    writeFileSync(`${folder}/entries`, shown);
    for (const file of files) writeFileSync(`${folder}/${file}`, '');
  }
});

describe('the mirror', () => {
  let mirror: Mirror;

  beforeEach(async () => {
    mkdirSync(`${folder}/served`);
    writeFileSync(`${folder}/secret`, 'secret');
    writeFileSync(`${folder}/served/a+b~1.deb`, 'package');
    mirror = await serveMirror(`${folder}/served`, { host: '127.0.0.1', port: 0 });
  });

  afterEach(() => mirror.close());

  test('serves files, whole or by their head alone', async () => {
    expect(await ask('GET', '/./a+b~1.deb')).toMatchObject({ status: 200, body: 'package', length: '7' });
    expect(await ask('GET', '/a%2bb%7e1.deb')).toMatchObject({ status: 200 });
    expect(await ask('HEAD', '/a+b~1.deb')).toMatchObject({ status: 200, body: '', length: '7' });
  });

  test('serves nothing else: no folder, no path out of its own, no other method', async () => {
    for (const path of ['/', '/missing', '/../secret', '/%2e%2e/secret', '/..%2fsecret', '/%00', '/%zz'])
      expect(await ask('GET', path), path).toMatchObject({ status: 404 });
    expect(await ask('PUT', '/a+b~1.deb')).toMatchObject({ status: 405 });
    expect(fileOf('/../../etc/passwd')).toBeUndefined();
  });

  // Not fetch: that tidies paths up before it sends them.
  function ask(method: string, path: string): Promise<{ status: number; body: string; length: string | undefined }> {
    const { hostname, port } = new URL(mirror.url);
    return new Promise((resolve, reject) => {
      const sent = request({ hostname, port, method, path, timeout: 2000 }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => {
          body += text;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, body, length: response.headers['content-length'] }),
        );
      });
      sent.on('error', reject);
      sent.end();
    });
  }
});

describe.skipIf(process.platform !== 'linux')('the cache', () => {
  const artefact = (build: (into: string) => Promise<void>): Promise<string> =>
    ensureArtefact({ cacheDir: `${folder}/cache`, kind: 'thing', key: '1', log: () => {}, build });

  test('builds a thing once, also for two who want it at once', async () => {
    let builds = 0;
    const build = async (into: string): Promise<void> => {
      builds += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
      writeFileSync(`${into}/file`, 'whole');
    };
    const [one, two] = await Promise.all([artefact(build), artefact(build)]);
    expect(one).toBe(two);
    expect(builds).toBe(1);
    expect(readFileSync(`${one}/file`, 'utf8')).toBe('whole');
  });

  test('keeps nothing of a build that failed or was cut short', async () => {
    mkdirSync(`${folder}/cache/unfinished-thing-0`, { recursive: true });
    await expect(artefact(() => Promise.reject(new Error('no archive')))).rejects.toThrow('no archive');
    expect(readdirSync(`${folder}/cache`)).toEqual(['thing.lock']);
  });

  test('says who may be waited for in vain', async () => {
    const file = `${folder}/some.lock`;
    await withLock(file, 1000, async () => {
      await expect(withLock(file, 0, async () => {})).rejects.toThrow(/another process has held this/);
    });
    expect(await withLock(file, 0, async () => 'free')).toBe('free');
  });
});
