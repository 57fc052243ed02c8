import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cacheKey } from '../lab/machines/cache.ts';
import { cgroupMounts, inCgroup } from '../lab/machines/cgroups.ts';
import { makeDiskArgv } from '../lab/machines/disk.ts';
import { run, tryRun } from '../lab/machines/exec.ts';
import { imageFiles } from '../lab/machines/image-files.ts';
import { type Lab, machineId } from '../lab/machines/lab.ts';
import { raiseLimits, restoreLimits } from '../lab/machines/limits.ts';
import {
  addressLines,
  bridgeLines,
  cableLines,
  labInVlan,
  macOf,
  portName,
  vlanName,
} from '../lab/machines/network.ts';
import { bootArgv, commandArgv } from '../lab/machines/nspawn.ts';
import { mountsUnder, overlayArgv } from '../lab/machines/overlay.ts';
import { bootstrapArgv } from '../lab/machines/packages.ts';
import { preflightError } from '../lab/machines/preflight.ts';
import { machineOfCgroup } from '../lab/machines/processes.ts';
import { listRecords, readRecord, writeRecord } from '../lab/machines/record.ts';
import { missingTools } from '../lab/machines/tools.ts';

let folder: string;
let lab: Lab;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-unit-'));
  lab = { name: 'firedrill-lab', stateDir: `${folder}/state`, cacheDir: `${folder}/cache` };
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('commands', () => {
  test('a machine boots from its root in its namespace, and takes nothing of the host', () => {
    const argv = bootArgv({ id: 'firedrill-lab-redis-1', hostname: 'redis-1', root: '/lab/redis-1/root' });
    expect(argv).toContain('--boot');
    expect(argv).toContain('--directory=/lab/redis-1/root');
    expect(argv).toContain('--machine=firedrill-lab-redis-1');
    expect(argv).toContain('--hostname=redis-1');
    expect(argv).toContain('--network-namespace-path=/run/netns/firedrill-lab-redis-1');
    for (const option of ['--register=no', '--keep-unit', '--resolv-conf=off', '--link-journal=no'])
      expect(argv).toContain(option);
  });

  test('a build command leaves its root as it is, and binds may hold colons', () => {
    const argv = commandArgv({
      root: '/cache/root',
      machine: 'firedrill-lab-build-1',
      binds: [
        { source: '/a:b', target: '/src', readonly: true },
        { source: '/out', target: '/out' },
      ],
      cwd: '/src',
      env: { A: 'b c' },
      argv: ['make', '-s'],
    });
    expect(argv).toContain('--volatile=overlay');
    expect(argv).toContain('--bind-ro=/a\\:b:/src');
    expect(argv).toContain('--bind=/out:/out');
    expect(argv).toContain('--setenv=A=b c');
    expect(argv.join(' ')).not.toContain('network-namespace');
    expect(argv.slice(argv.indexOf('--'))).toEqual(['--', 'make', '-s']);
  });

  test('an overlay reads from the image and writes to the machine', () => {
    expect(overlayArgv({ lower: '/cache/image,1/root', dir: '/m' })).toEqual([
      ...['mount', '-t', 'overlay', '-o', 'lowerdir=/cache/image\\,1/root,upperdir=/m/disk/upper,workdir=/m/disk/work'],
      ...['firedrill', '/m/root'],
    ]);
  });

  test('a machine’s disk has its own size, a share of it that only root may use, and what it begins with', () => {
    const argv = makeDiskArgv('/m/disk.img.new', '/m/disk', 25_600);
    expect(argv.slice(-2)).toEqual(['/m/disk.img.new', '25600M']);
    expect(argv.join(' ')).toContain('-d /m/disk');
    expect(argv).not.toContain('-m');
  });

  test('a root is bootstrapped with verification by Debian’s keyring, and packages without documentation', () => {
    const argv = bootstrapArgv('/root', ['gcc', 'make'], 'true');
    expect(argv).toContain('--keyring=/usr/share/keyrings/debian-archive-keyring.gpg');
    expect(argv).toContain('--include=gcc,make');
    expect(argv).toContain('--dpkgopt=path-exclude=/usr/share/doc/*');
    expect(argv.slice(-2)).toEqual(['trixie', '/root']);
    expect(argv.join(' ')).not.toMatch(/trusted|allow-unauth|insecure/i);
  });

  test('a command that fails, hangs or is not there says so', async () => {
    await expect(run(['sh', '-c', 'echo why >&2; exit 3'])).rejects.toThrow(/failed with 3: why/);
    await expect(run(['sleep', '10'], { timeoutMs: 50 })).rejects.toThrow('sleep 10 took longer than 50 ms');
    await expect(run(['/no/such/program'])).rejects.toThrow(/could not start \/no\/such\/program/);
    expect(await tryRun(['cat'], { input: 'x' })).toEqual({ code: 0, stdout: 'x', stderr: '' });
  });
});

describe('the network', () => {
  test('is one bridge with both of the lab’s addresses and no route', () => {
    const lines = bridgeLines();
    expect(lines).toContain('addr add 198.18.0.1/16 dev br0');
    expect(lines).toContain('addr add 198.19.0.1/16 dev br0');
    expect(lines.join('\n')).not.toContain('route');
  });

  test('gives a machine one cable with its addresses, and a hardware address that stays', () => {
    expect(macOf('198.18.0.11')).toBe('02:fd:c6:12:00:0b');
    const port = portName('firedrill-lab-redis-1');
    expect(port.length).toBeLessThanOrEqual(15);
    expect(port).not.toBe(portName('firedrill-lab-redis-2'));
    expect(cableLines('firedrill-lab-redis-1', macOf('198.18.0.11'))[0]).toBe(
      `link add ${port} type veth peer name eth0 address 02:fd:c6:12:00:0b netns firedrill-lab-redis-1`,
    );
    expect(addressLines(['198.18.0.11', '198.19.0.11'])).toEqual([
      'link set lo up',
      'addr add 198.18.0.11/16 dev eth0',
      'addr add 198.19.0.11/16 dev eth0',
      'link set eth0 up',
    ]);
  });
});

describe('a VLAN of the lab', () => {
  test('is a bridge of its own, on which the lab has the first address', () => {
    expect(vlanName('firedrill-lab')).not.toBe(vlanName('another'));
    expect(vlanName('firedrill-lab').length).toBeLessThanOrEqual(15);
    expect(labInVlan('192.0.2.41/24')).toBe('192.0.2.1/24');
    expect(labInVlan('10.30.9.200/25')).toBe('10.30.9.129/25');
  });
});

describe('control groups', () => {
  test('tell a machine’s processes from its supervisor, with and without systemd on the host', () => {
    const own = '9:name=systemd:/firedrill-lab/firedrill-lab-redis-1/payload/init.scope\n0::/\n';
    expect(machineOfCgroup(lab, own)).toEqual({ id: 'firedrill-lab-redis-1', inside: true });
    const scope = '0::/system.slice/firedrill-lab-redis-1.scope/supervisor\n';
    expect(machineOfCgroup(lab, scope)).toEqual({ id: 'firedrill-lab-redis-1', inside: false });
  });

  test('of other labs and of the host are nobody’s', () => {
    expect(machineOfCgroup(lab, '0::/firedrill-test/firedrill-test-one/payload\n')).toBeUndefined();
    expect(machineOfCgroup(lab, '0::/user.slice/user-0.slice/session-1.scope\n')).toBeUndefined();
    expect(machineOfCgroup(lab, '0::/firedrill-lab\n')).toBeUndefined();
  });

  test('are made where systemd in the machine looks: version 2, and the named hierarchy of a hybrid host', () => {
    const hybrid = [
      '30 20 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory',
      '31 20 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd',
      '32 20 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
    ].join('\n');
    expect(cgroupMounts(hybrid)).toEqual(['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified']);
    expect(cgroupMounts('30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw')).toEqual(['/sys/fs/cgroup']);
  });

  test('are joined before the machine starts; under systemd by a scope', () => {
    const own = inCgroup({ kind: 'own', mounts: ['/a', '/b'] }, lab, 'firedrill-lab-x', ['nspawn', '-q']);
    expect(own.slice(-3)).toEqual([
      '/a/firedrill-lab/firedrill-lab-x /b/firedrill-lab/firedrill-lab-x',
      'nspawn',
      '-q',
    ]);
    const scope = inCgroup({ kind: 'scope' }, lab, 'firedrill-lab-x', ['nspawn', '-q']);
    expect(scope).toContain('--unit=firedrill-lab-x.scope');
    expect(scope.slice(-3)).toEqual(['--', 'nspawn', '-q']);
  });
});

describe('what is found by looking', () => {
  test('mounts below a folder, innermost first, also with blanks in their names', () => {
    const info = ['/lab/a', '/lab/a/root', '/lab/a/root/my\\040disk', '/labor/root']
      .map((point, index) => `${index} 1 0:1 / ${point} rw - ext4 /dev/vda rw`)
      .join('\n');
    expect(mountsUnder('/lab', info)).toEqual(['/lab/a/root/my disk', '/lab/a/root', '/lab/a']);
  });

  test('everything that is missing is in one message, with its package', () => {
    const missing = missingTools((path) => !path.includes('mmdebstrap') && !path.includes('keyring'));
    expect(missing.map((each) => each.package)).toEqual(['mmdebstrap', 'debian-archive-keyring']);
    const { message } = preflightError(missing);
    expect(message).toContain('nothing was installed or changed');
    expect(message).toContain('mmdebstrap: apt-get install mmdebstrap');
    expect(message).toContain('apt-get install debian-archive-keyring');
  });
});

describe('keys and names', () => {
  test('a cache key changes with what a thing is made from, and with nothing else', () => {
    const key = cacheKey(bootstrapArgv('ROOT', ['gcc']));
    expect(key).toBe(cacheKey(bootstrapArgv('ROOT', ['gcc'])));
    expect(key).not.toBe(cacheKey(bootstrapArgv('ROOT', ['gcc', 'make'])));
  });

  test('a name that could be no host name, or lead out of the state folder, is refused', () => {
    expect(machineId(lab, 'redis-1')).toBe('firedrill-lab-redis-1');
    for (const name of ['', '../x', 'a/b', 'A', 'a b', 'a-', 'x'.repeat(60)])
      expect(() => machineId(lab, name)).toThrow();
  });

  test('the image’s apt knows only the lab’s mirror', () => {
    const sources = imageFiles.find((file) => file.path === 'etc/apt/sources.list');
    expect(sources).toMatchObject({ text: 'deb [trusted=yes] http://198.18.0.1:4030 ./\n' });
  });
});

describe('a machine’s record', () => {
  const spec = {
    name: 'redis-1',
    hostname: 'redis-1',
    addresses: ['198.18.0.11'],
    diskMb: 64,
    userData: '#cloud-config\nsecret',
  };

  test('puts the seed on its own disk, readable by root alone, and keeps the user data out of machine.json', () => {
    const record = writeRecord(lab, spec);
    const dir = `${lab.stateDir}/machines/redis-1`;
    const seed = `${dir}/disk/upper/var/lib/cloud/seed/nocloud`;
    expect(readFileSync(`${seed}/user-data`, 'utf8')).toBe(spec.userData);
    expect(readFileSync(`${seed}/meta-data`, 'utf8')).toContain(`instance-id: ${record.instanceId}`);
    expect(readFileSync(`${dir}/machine.json`, 'utf8')).not.toContain('secret');
    expect(readRecord(lab, 'redis-1')).toEqual(record);
    expect(listRecords(lab)).toEqual([record]);
  });

  test('of a name that is taken is refused; of a name that is unknown too', () => {
    writeRecord(lab, spec);
    expect(() => writeRecord(lab, spec)).toThrow(/has a machine redis-1 already/);
    expect(() => readRecord(lab, 'redis-2')).toThrow(/no machine redis-2/);
  });
});

test('limits of the host are raised when too low, and put back', () => {
  const proc = `${folder}/proc`;
  const file = `${proc}/fs/inotify/max_user_instances`;
  mkdirSync(`${proc}/fs/inotify`, { recursive: true });
  writeFileSync(file, '128\n');
  raiseLimits(lab, proc);
  expect(readFileSync(file, 'utf8')).toBe('1024');
  raiseLimits(lab, proc);
  expect(restoreLimits(lab, proc)).toEqual(['fs/inotify/max_user_instances']);
  expect(readFileSync(file, 'utf8')).toBe('128');
});
