import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../../actions/core/deadline.ts';
import { deriveDeployKey, deriveHostKey } from '../../actions/core/derive.ts';
import { Secret } from '../../actions/core/secret.ts';
import { cgroupKind } from '../lab/machines/cgroups.ts';
import { run, tryRun } from '../lab/machines/exec.ts';
import { ensureImage, type Image } from '../lab/machines/image.ts';
import type { Lab } from '../lab/machines/lab.ts';
import { raiseLimits } from '../lab/machines/limits.ts';
import { type Machines, openMachines, type StateChange } from '../lab/machines/machines.ts';
import { inNamespace, listNamespaces, upNetwork } from '../lab/machines/network.ts';
import { mountsUnder } from '../lab/machines/overlay.ts';
import { preflight } from '../lab/machines/preflight.ts';
import { labProcesses } from '../lab/machines/processes.ts';
import { sweep } from '../lab/machines/sweep.ts';
import { cacheDir, nodeBinary } from '../lab/paths.ts';

// A lab of its own beside the real one: same addresses, but in its own namespace.
const lab: Lab = { name: 'firedrill-test', stateDir: '/var/tmp/firedrill-test', cacheDir };
const fleetSecret = new Secret('a fleet secret of the test, long enough to be one');
const deployKey = deriveDeployKey(fleetSecret, 'test');
const hostKey = deriveHostKey(fleetSecret, 'test', 'one');
const addresses = { one: '198.18.0.11', two: '198.18.0.12' };

const userData = `#cloud-config
users:
  - name: deploy
    sudo: 'ALL=(ALL) NOPASSWD:ALL'
    lock_passwd: true
    ssh_authorized_keys: ['${deployKey.publicLine}']
ssh_keys:
  ed25519_private: |
${hostKey.privateKey.reveal().trimEnd().replace(/^/gm, '    ')}
  ed25519_public: '${hostKey.publicLine}'
`;

const missing = await preflight(lab);
const skipReason =
  missing.length === 0 ? undefined : `machines need ${missing.map((each) => `${each.what} (${each.fix})`).join('; ')}`;

let image: Image;
let machines: Machines;
const changes: StateChange[] = [];

beforeAll(async () => {
  if (skipReason !== undefined) return;
  await sweep(lab);
  image = await ensureImage(cacheDir, console.log);
  raiseLimits(lab);
  await upNetwork(lab);
  machines = openMachines(lab, image.root, (change) => changes.push(change));
});

afterAll(async () => {
  if (skipReason === undefined) await sweep(lab);
});

beforeEach((context) => {
  if (skipReason !== undefined) context.skip(skipReason);
});

describe('a machine', () => {
  test('boots by its user data: pinned host key, deploy user with sudo, host name', async () => {
    for (const name of ['one', 'two'] as const)
      await machines.create({ name, hostname: `${name}-host`, addresses: [addresses[name]], diskMb: 2048, userData });
    await Promise.all([machines.boot('one'), machines.boot('two')]);
    expect(machines.state('one')).toBe('running');
    await booted('one');
    expect(await overSsh('sudo id -un; hostname; cloud-init status --wait')).toBe('root\none-host\nstatus: done');
  });

  test('reaches its neighbours and nothing else', async () => {
    await booted('two');
    await run(inside('one', ['ping', '-c1', '-W2', addresses.two]));
    const outside = await tryRun(inside('one', ['ping', '-c1', '-W2', '192.0.2.1']));
    expect(outside.stdout + outside.stderr).toContain('Network is unreachable');
  });

  test("installs a package from the lab's mirror", async () => {
    const mirror = await mirrorInNamespace();
    try {
      await run(inside('two', ['apt-get', '-q', 'update']));
      const install = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qy', '--no-install-recommends', 'install'];
      await run(inside('two', [...install, 'redis-server']), { timeoutMs: 60_000 });
      expect((await run(inside('two', ['redis-cli', 'ping']))).stdout).toBe('PONG\n');
    } finally {
      mirror.kill();
    }
  });

  test('comes back from a reboot of its own, as from a power-on: disk kept, rules and extra addresses gone', async () => {
    const before = machines.leader('one');
    await run(
      inside('one', ['sh', '-c', 'echo kept > /root/kept; ip addr add 198.18.0.99/16 dev eth0; nft add table inet t']),
    );
    await tryRun(inside('one', ['systemctl', 'reboot']));
    await until(async () => (changes.some((each) => each.reason === 'reboot') ? true : undefined), waitFor('a reboot'));
    expect(machines.leader('one')).not.toBe(before);
    await booted('one');
    const seen = await run(inside('one', ['sh', '-c', 'cat /root/kept; ip -4 -br addr show eth0; nft list ruleset']));
    expect(seen.stdout.replace(/ +/g, ' ').replace(/@\S+/, '').trim()).toBe(`kept\neth0 UP ${addresses.one}/16`);
    expect(await overSsh('hostname')).toBe('one-host');
  });

  test('is noticed when it powers itself off', async () => {
    changes.length = 0;
    await tryRun(inside('one', ['systemctl', 'poweroff']));
    await until(async () => changes[0], waitFor('a power-off'));
    expect(changes).toEqual([{ name: 'one', state: 'offline', reason: 'poweroff' }]);
    expect(machines.state('one')).toBe('offline');
  });

  test('goes off in order when asked, also in the middle of its boot', async () => {
    await machines.boot('one');
    expect(await machines.shutdown('one', { timeoutMs: 20_000 })).toEqual({ graceful: true });
    expect(machines.state('one')).toBe('offline');
  });

  test('loses what is sent to it while it has no power: nothing is refused, unreachable or ended, until it is back', async () => {
    await machines.boot('one');
    await booted('one');
    const peer = await silencePeer();
    await machines.kill('one');
    // An address that nobody has is "unreachable" after three seconds.
    const seen = await new Promise<string>((resolve) => {
      setTimeout(() => resolve(peer.said()), 5000);
    });
    expect(seen).toBe('open\nasked\n');
    const ping = await tryRun(inside('two', ['ping', '-c4', '-W1', addresses.one]));
    expect(ping.stdout).toContain('4 packets transmitted, 0 received, 100% packet loss');
    expect(ping.stdout).not.toContain('nreachable');
    await machines.boot('one');
    // The connection of before is unknown to it now.
    await until(
      async () => (peer.said().includes('old ECONNRESET') ? true : undefined),
      waitFor('the end of the connection'),
    );
    peer.child.kill();
    expect(await machines.shutdown('one', { timeoutMs: 20_000 })).toEqual({ graceful: true });
  });

  test('goes off at once when its plug is pulled, and leaves nothing when it is deleted', async () => {
    changes.length = 0;
    await machines.kill('two');
    expect(changes).toEqual([{ name: 'two', state: 'offline', reason: 'killed' }]);
    await Promise.all([machines.delete('one'), machines.delete('two')]);
    expect(machines.list()).toEqual([]);
    expect({ ...traces(), namespaces: listNamespaces(lab) }).toEqual({ ...nothing, namespaces: [lab.name] });
  });
});

describe('sweep', () => {
  test('leaves nothing of a lab whose process was killed, and then finds nothing', async () => {
    await upNetwork(lab);
    const holder = await killableLab();
    expect(labProcesses(lab).length).toBeGreaterThan(2);
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    expect(labProcesses(lab).length).toBeGreaterThan(2);
    const removed = await sweep(lab);
    expect(removed.join('; ')).toMatch(/processes of machines.*4 mounts.*3 network namespaces/);
    expect(traces()).toEqual(nothing);
    expect(existsSync(lab.stateDir)).toBe(false);
    expect(await sweep(lab)).toEqual([]);
  });
});

const nothing = { processes: [], mounts: [], disks: [], namespaces: [], cgroups: [], propagated: [] };

/** What the kernel and nspawn still know of the lab's machines. */
function traces(): typeof nothing | Record<string, unknown> {
  const kind = cgroupKind();
  const groups = kind.kind === 'own' ? kind.mounts.map((mount) => `${mount}/${lab.name}`) : [];
  const list = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);
  return {
    processes: labProcesses(lab),
    mounts: mountsUnder(lab.stateDir),
    disks: loopDevices().filter((file) => file.startsWith(lab.stateDir)),
    namespaces: listNamespaces(lab),
    cgroups: groups.flatMap((group) => list(group).filter((name) => name.startsWith(lab.name))),
    propagated: list('/run/systemd/nspawn/propagate').filter((name) => name.startsWith(lab.name)),
  };
}

/** The files behind the host's loop devices. */
function loopDevices(): string[] {
  const named = readdirSync('/sys/block').filter((name) => existsSync(`/sys/block/${name}/loop/backing_file`));
  return named.map((name) => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim());
}

function waitFor(what: string): { timeoutMs: number; intervalMs: number; what: string } {
  return { timeoutMs: 60_000, intervalMs: 50, what };
}

function inside(name: string, argv: readonly string[]): string[] {
  return ['nsenter', '--target', String(machines.leader(name)), '--all', ...argv];
}

async function booted(name: string): Promise<void> {
  await until(
    async () => {
      const state = (await tryRun(inside(name, ['systemctl', 'is-system-running']))).stdout.trim();
      return state === 'running' ? true : Promise.reject(new Error(state));
    },
    waitFor(`${name} to be up`),
  );
}

/** Runs a command on `one` over ssh as the rollout does; the connection is made in the lab's namespace. */
async function overSsh(command: string): Promise<string> {
  const script = `
    const { connectSsh } = await import(${module('../../actions/core/ssh.ts')});
    const { Secret } = await import(${module('../../actions/core/secret.ts')});
    const { host, hostKey, privateKey, command } = JSON.parse(process.env.TARGET);
    const ssh = await connectSsh({ node: 'one', host, port: 22, user: 'deploy', hostKey, privateKey: new Secret(privateKey), connectTimeoutMs: 5000 });
    const { code, stdout } = await ssh.exec(command, { timeoutMs: 30000 });
    process.stdout.write(stdout);
    ssh.close();
    process.exitCode = code;`;
  const target = {
    host: addresses.one,
    hostKey: hostKey.publicLine,
    privateKey: deployKey.privateKey.reveal(),
    command,
  };
  const env = { ...process.env, TARGET: JSON.stringify(target) };
  const result = await run(inNamespace(lab.name, [nodeBinary, '--input-type=module', '-e', script]), { env });
  return result.stdout.trim();
}

function module(path: string): string {
  return JSON.stringify(new URL(path, import.meta.url).href);
}

async function mirrorInNamespace(): Promise<ChildProcess> {
  const script = `
    const { serveMirror } = await import(${module('../lab/machines/mirror.ts')});
    await serveMirror(process.env.PACKAGES, { host: '198.18.0.1', port: 4030 });
    console.log('ready');`;
  return ready(inNamespace(lab.name, [nodeBinary, '--input-type=module', '-e', script]), { PACKAGES: image.packages });
}

/** Somebody in the lab who has a connection to `one`, and asks for another one a second later; each event is a line. */
async function silencePeer(): Promise<{ child: ChildProcess; said: () => string }> {
  const script = `
    const { connect } = await import('node:net');
    const say = (line) => process.stdout.write(line + '\\n');
    const to = { host: '${addresses.one}', port: 22 };
    const old = connect(to, () => say('open'));
    old.on('error', (error) => say('old ' + error.code));
    old.on('end', () => say('old ended'));
    setTimeout(() => {
      say('asked');
      connect(to, () => say('new open')).on('error', (error) => say('new ' + error.code));
      setInterval(() => old.write('x'), 200);
    }, 1000);`;
  let text = '';
  const [program = '', ...args] = inNamespace(lab.name, [nodeBinary, '--input-type=module', '-e', script]);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await until(async () => (text.includes('open') ? true : undefined), waitFor('a connection'));
  return { child, said: () => text };
}

/** Another process that boots two machines and then holds them. */
async function killableLab(): Promise<ChildProcess> {
  const script = `
    const { openMachines } = await import(${module('../lab/machines/machines.ts')});
    const machines = openMachines(${JSON.stringify(lab)}, process.env.IMAGE);
    for (const [index, name] of ['one', 'two'].entries()) {
      await machines.create({ name, hostname: name, addresses: ['198.18.0.' + (11 + index)], diskMb: 2048, userData: '#cloud-config\\n{}\\n' });
      await machines.boot(name);
    }
    console.log('ready');
    setInterval(() => {}, 1000);`;
  return ready([nodeBinary, '--input-type=module', '-e', script], { IMAGE: image.root });
}

async function ready(argv: readonly string[], env: Record<string, string>): Promise<ChildProcess> {
  const [program = '', ...args] = argv;
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
    createInterface({ input: child.stdout }).once('line', () => resolve());
  });
  return child;
}
