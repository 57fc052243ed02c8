import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { denyStart, undoLeftOver } from '../host/no-start.mjs';
import { missingOf, needed, notInstalled, packagesFor } from '../host/tools.mjs';

const host = fileURLToPath(new URL('../host', import.meta.url));
let folder: string;
let policyFile: string;
beforeEach(() => {
  folder = mkdtempSync(`${tmpdir()}/firedrill-host-`);
  policyFile = `${folder}/policy-rc.d`;
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('what this machine lacks', () => {
  const exists = (path: string): boolean => !/redis|keyring|\/(ip|cc)$/.test(path);

  it('is found by the program or the file, and each package is named once', () => {
    expect(packagesFor(missingOf(needed, exists))).toEqual([
      ...['iproute2', 'debian-archive-keyring', 'gcc', 'redis-tools', 'redis-server', 'redis-sentinel'],
    ]);
    expect(packagesFor(missingOf(needed, () => false)).sort()).toEqual(packagesFor(needed).sort());
    expect(missingOf(needed, () => true)).toEqual([]);
  });

  it("is looked for where root's programs are, too", () => {
    expect(missingOf(needed, (path) => !path.endsWith('/nft') || path === '/usr/sbin/nft')).toEqual([]);
  });

  it('is the reason why a test is skipped, with what to install', () => {
    expect(notInstalled(['redis-cli', 'cc', 'make'], exists)).toBe(
      'not installed: cc, redis-cli (apt-get install gcc redis-tools)',
    );
    expect(notInstalled(['make'], exists)).toBeUndefined();
  });
});

/** What policy-rc.d answers when it is asked whether a service may be started. */
function asked(...words: string[]): number | null {
  return spawnSync(policyFile, words).status;
}

describe('a service that a package brings', () => {
  beforeEach(({ skip }) => skip(process.platform !== 'linux', 'needs Linux'));

  it('is not started meanwhile; others are as before, and afterwards all is', () => {
    const undo = denyStart(['redis-server', 'redis-sentinel'], policyFile);
    expect(asked('redis-server.service', 'start')).toBe(101);
    expect(asked('--quiet', 'redis-sentinel', '(start)', '5')).toBe(101);
    expect(asked('cron', 'restart', '5')).toBe(existsSync('/sbin/init') ? 0 : 101);
    expect(asked('cron', '(start)', '5'), 'not enabled').toBe(101);
    undo();
    expect(existsSync(policyFile)).toBe(false);
  });

  it('is left to a policy that was there before, which is kept, be it a link', () => {
    writeFileSync(`${folder}/mine`, '#!/bin/sh\ntest "$1" != cron || exit 104\nexit 102\n', { mode: 0o755 });
    symlinkSync(`${folder}/mine`, policyFile);
    denyStart(['redis-server'], policyFile);
    const undo = denyStart(['redis-server'], policyFile);
    expect([asked('redis-server', 'start'), asked('cron', 'start'), asked('ntp', 'start')]).toEqual([101, 104, 102]);
    undo();
    expect(lstatSync(policyFile).isSymbolicLink()).toBe(true);
    expect(asked('redis-server', 'start')).toBe(102);
  });

  it('is started again once the process that forbade it was killed, and the next one tidies up', async () => {
    const child = spawn(process.execPath, [
      ...['--input-type=module', '-e'],
      `import { denyStart } from '${host}/no-start.mjs'; denyStart(['redis-server'], '${policyFile}'); process.kill(process.pid, 9);`,
    ]);
    await once(child, 'exit');
    expect(readFileSync(policyFile, 'utf8')).toContain(`${child.pid}`);
    expect(asked('redis-server', 'start')).not.toBe(101);
    undoLeftOver(policyFile);
    expect(existsSync(policyFile)).toBe(false);
    undoLeftOver(policyFile);
  });

  it('leaves alone a policy that is not ours, and one that is in use', () => {
    writeFileSync(policyFile, '#!/bin/sh\nexit 101\n');
    undoLeftOver(policyFile);
    expect(readFileSync(policyFile, 'utf8')).toContain('exit 101');
    const undo = denyStart(['redis-server'], policyFile);
    undoLeftOver(policyFile);
    expect(readFileSync(policyFile, 'utf8')).toContain('Firedrill');
    undo();
  });
});

// The real script in a process of its own, with an apt-get that only says how it was called, and nothing else on the PATH.
describe('on a machine without the tools', () => {
  const script = `import { ensureTools } from '${host}/ensure.mjs'; await ensureTools({ policyFile: process.argv[1] });`;

  beforeEach(({ skip }) => {
    skip(process.platform !== 'linux' || process.getuid?.() !== 0, 'needs Linux and root');
    mkdirSync(`${folder}/bin`);
    fake('systemctl', 'exit 0');
  });

  /** A program that writes down its arguments, and then does `rest`. */
  function fake(name: string, rest: string): void {
    const text = `#!/bin/sh\necho "${name} $*" >>${folder}/calls\n${rest}\n`;
    writeFileSync(`${folder}/bin/${name}`, text, { mode: 0o755 });
  }

  const start = () =>
    spawn(process.execPath, ['--input-type=module', '-e', script, policyFile], { env: { PATH: `${folder}/bin` } });
  const calls = (): string => readFileSync(`${folder}/calls`, 'utf8');

  async function outcome(child = start()): Promise<{ code: number | null; said: string }> {
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
    const [code] = await once(child, 'close');
    return { code, said };
  }

  it('they are installed: one line says which, and no service is started or left enabled', async () => {
    fake('apt-get', `PATH=/usr/bin:/bin ${policyFile} redis-server.service start; echo "policy $?" >>${folder}/calls`);
    const { code, said } = await outcome();
    expect(code, said).toBe(0);
    expect(said).toMatch(/^installing .*shellcheck.*redis-server, redis-sentinel \(apt-get\)\n$/);
    const lines = calls().trim().split('\n');
    expect(lines[0]).toBe('apt-get --quiet --option=DPkg::Lock::Timeout=120 update');
    expect(lines[2]).toMatch(/ --yes --no-install-recommends install .*git.* redis-server redis-sentinel$/);
    expect([lines[1], ...lines.slice(3)]).toEqual([
      'policy 101',
      'policy 101',
      'systemctl --quiet disable redis-server redis-sentinel',
    ]);
    expect(existsSync(policyFile)).toBe(false);
  });

  it('when apt-get fails, its words and what to install by hand are the end', async () => {
    fake('apt-get', 'echo "no network" >&2; exit 100');
    const { code, said } = await outcome();
    expect(code).toBe(1);
    expect(said).toMatch(/update: exit code 100\nno network\nInstall by hand: apt-get install .*redis-server/);
    expect(said).toContain('Nothing else was started.');
    expect(existsSync(policyFile)).toBe(false);
  });

  it('a Ctrl-C ends apt-get, and nothing is left behind', async () => {
    fake('apt-get', 'exec /bin/sleep 20');
    const child = start();
    const ended = outcome(child);
    await expect.poll(() => existsSync(`${folder}/calls`), { timeout: 5000 }).toBe(true);
    child.kill('SIGINT');
    expect(await ended).toMatchObject({ code: 1, said: expect.stringContaining('update: SIGINT') });
    expect(existsSync(policyFile)).toBe(false);
  });

  it('without apt-get nothing happens', async () => {
    expect(await outcome()).toEqual({ code: 0, said: '' });
  });

  it('without root nothing happens', () => {
    fake('apt-get', 'exit 0');
    execFileSync('chmod', ['755', folder]);
    const id = { uid: 65534, gid: 65534 };
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', script, policyFile], {
      ...{ ...id, env: { PATH: `${folder}/bin` }, encoding: 'utf8' as const },
    });
    expect([run.status, run.stdout, run.stderr]).toEqual([0, '', '']);
    expect(existsSync(`${folder}/calls`)).toBe(false);
  });
});
