import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
const at = (name: string) => join(folder, name);
const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
const policy = 'policy-rc.d';

/** Stand-ins. `installed` holds NAME VERSION lines, `archive` what can be had, `simulation` what apt-get -s says, `asked` what was asked. */
const programs: Readonly<Record<string, string>> = {
  'dpkg-query': `sed -n "s/^$4 /installed /p" "$FOLDER/installed"`,
  'apt-cache': `awk -v n="$2" '$1 == n { print n " | " $2 " | mirror" }' "$FOLDER/archive"`,
  'apt-get': `
    echo "$*" | sed 's/.* install/install/' >>"$FOLDER/asked"
    case $* in *--simulate*) cat "$FOLDER/simulation"; exit 0 ;; esac
    cp "$FOLDER/${policy}" "$FOLDER/policy-seen" 2>/dev/null
    for word in "$@"; do case $word in [a-z]*=*)
      sed -i "/^\${word%%=*} /d" "$FOLDER/installed"; echo "$word" | tr = ' ' >>"$FOLDER/installed" ;;
    esac; done`,
  unshare: 'exit 0',
  journalctl: 'exit 0',
  'redis-cli': 'cat >>"$FOLDER/commands"; . "$FOLDER/answer"',
  systemctl: `
    echo "$*" >>"$FOLDER/units"
    case $1 in restart) ! [ -e "$FOLDER/broken" ] || ! rm "$FOLDER/broken" ;; is-active) echo active ;; esac`,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-node-'));
  for (const name of ['bin', 'node', 'state/running', 'state/releases/old/files', 'state/incoming', 'in', 'etc/redis'])
    mkdirSync(at(name), { recursive: true });
  for (const [name, text] of Object.entries(programs))
    writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  for (const name of readdirSync('actions/rollout/node')) {
    const text = readFileSync(`actions/rollout/node/${name}`, 'utf8')
      .replaceAll('/var/lib/firedrill', at('state'))
      .replaceAll('/usr/sbin/policy-rc.d', at(policy))
      .replaceAll('/etc/redis/', at('etc/redis/'));
    writeFileSync(at(`node/${name}`), text);
  }
  release('state/releases/old', 'redis-server\t8.0.2');
  writeFileSync(at('state/running/redis-server'), 'old\n');
  writeFileSync(at('installed'), 'redis-server 5:8.0.2-3\n');
  writeFileSync(at('archive'), 'redis-server 5:8.0.3-1\nredis-server 5:8.0.2-3\nsocat 1.8.0-1\n');
  writeFileSync(at('simulation'), '');
  sh('ln -s releases/old "$1/state/current"', folder);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A release in this folder with these packages (NAME, tab, VERSION), one file and one unit. */
function release(name: string, ...packages: string[]): void {
  const { username } = userInfo();
  const file = at('etc/redis/firedrill.conf');
  const group = sh('id -gn').out.trim();
  mkdirSync(join(at(name), 'files', at('etc/redis')), { recursive: true });
  writeFileSync(join(at(name), 'files', file), `port 6379\nloglevel ${name}\n`);
  const lines = packages.map((each) => `package\t${each}`);
  lines.push(
    'unit\tredis-server',
    ['file', file, '0644', username, group, '-', 'live', 'redis-server', '-'].join('\t'),
  );
  writeFileSync(at(`${name}/manifest`), `${lines.join('\n')}\n`);
}

function sh(script: string, ...args: string[]): { code: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script, 'sh', ...args], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: `${at('bin')}:${process.env.PATH}`, FOLDER: folder },
  });
  return { code: status, out: stdout + stderr };
}

/** A function of packages.sh or units.sh, with in/ as the release. */
function call(command: string): { code: number | null; out: string } {
  const parts = ['lib', 'packages', 'units'].map((name) => `. "${at(`node/${name}.sh`)}"`);
  return sh(`set -eu; here=${at('node')}; ${parts.join('; ')}; release=${at('in')}; ${command}`);
}

describe('staging on a node that serves', () => {
  const stage = () => {
    const sha256 = '$(sha256sum "$1/in/files$1/etc/redis/firedrill.conf" | cut -d " " -f 1)';
    return sh(
      `sed -i "s/\\t-\\tlive/\\t${sha256}\\tlive/" "$1/in/manifest"; sh "$1/node/stage.sh" "$1/in" new`,
      folder,
    );
  };

  it('installs what is missing and leaves what is outdated to the switch', () => {
    release('in', 'redis-server\t8.0.3', 'socat\t-');
    writeFileSync(at('simulation'), 'Inst socat (1.8.0-1 Debian:13 [amd64])\nConf socat (1.8.0-1 Debian:13 [amd64])\n');
    expect(stage()).toMatchObject({ code: 0 });
    expect(read('asked').trim().split('\n')).toEqual([
      'install --simulate --no-upgrade --no-install-recommends socat=1.8.0-1',
      'install --no-install-recommends --no-upgrade --no-remove socat=1.8.0-1',
    ]);
    expect(read('installed')).toContain('redis-server 5:8.0.2-3');
  });

  it.each([
    [
      'upgrade',
      'Inst redis-server [5:8.0.2-3] (5:8.0.3-1 Debian:13 [amd64])',
      'redis-server 5:8.0.2-3 becomes 5:8.0.3-1',
    ],
    ['remove', 'Remv redis-server [5:8.0.2-3]', 'redis-server is removed'],
  ])('refuses when that would %s something, and installs nothing', (_, line, said) => {
    release('in', 'redis-server\t8.0.3', 'socat\t-');
    writeFileSync(at('simulation'), `${line}\nInst socat (1.8.0-1 Debian:13 [amd64])\n`);
    const { code, out } = stage();
    expect(code).toBe(1);
    expect(out).toContain(`installing socat=1.8.0-1 would change packages that this node serves with`);
    expect(out).toContain(said);
    expect(read('installed')).toBe('redis-server 5:8.0.2-3\n');
  });

  it('refuses an upgrade under somebody else’s policy-rc.d, and keeps that', () => {
    release('in', 'redis-server\t8.0.3');
    writeFileSync(at(policy), '#!/bin/sh\nexit 0\n');
    const { code, out } = stage();
    expect(code).toBe(1);
    expect(out).toContain('is not ours');
    expect(call('upgrade_packages').code).toBe(1);
    expect(read(policy)).toBe('#!/bin/sh\nexit 0\n');
    expect(read('asked')).toBe('');
  });
});

describe('a switch', () => {
  const active = ['new', '0', 'redis-server=restart'] as const;
  const change = () => sh('shift; sh "$FOLDER/node/switch.sh" "$FOLDER/in" "$@"', '', ...active);

  it('keeps maintainer scripts from restarting anything while it upgrades, and not longer', () => {
    release('state/releases/new', 'redis-server\t8.0.3');
    expect(change()).toMatchObject({ code: 0 });
    expect(read('policy-seen')).toContain('exit 101');
    expect(existsSync(at(policy))).toBe(false);
    expect(read('installed')).toBe('redis-server 5:8.0.3-1\n');
  });

  it('that goes back says which packages stay', () => {
    release('state/releases/new', 'redis-server\t8.0.3');
    writeFileSync(at('broken'), '');
    const { code, out } = change();
    expect(code).toBe(1);
    expect(out).toContain('back at release old; packages stay: redis-server 5:8.0.3-1"');
    expect(read('etc/redis/firedrill.conf')).toBe(
      readFileSync(join(at('state/releases/old/files'), at('etc/redis/firedrill.conf')), 'utf8'),
    );
  });

  it('that goes back and replaced no package says nothing of packages', () => {
    release('state/releases/new', 'redis-server\t8.0.2');
    writeFileSync(at('broken'), '');
    expect(change().out).toContain('back at release old"');
  });
});

describe('a command', () => {
  const finish = () => sh('sh "$1/node/apply.sh" run finish', folder);

  it('removes the policy-rc.d that a killed one of ours left, and no other', () => {
    call('install_packages() { kill -9 $$; }; upgrade_packages');
    expect(read(policy)).toContain('exit 101');
    expect(finish()).toMatchObject({ code: 0 });
    expect(existsSync(at(policy))).toBe(false);
    writeFileSync(at(policy), '#!/bin/sh\nexit 101\n');
    expect(finish()).toMatchObject({ code: 0 });
    expect(existsSync(at(policy))).toBe(true);
  });
});

describe('a live change', () => {
  beforeEach(() => {
    release('in');
    writeFileSync(at('etc/redis/firedrill.conf'), 'port 6379\nmaxmemory 1\n');
    writeFileSync(at('etc/redis/set'), 'mymaster quorum 2');
  });
  const redis = () => call('live_redis');
  const sentinel = () => call(`sh "$here/sentinel-set.sh" ${at('etc/redis/set')} -p 1`);

  it.each([
    ['nothing listens', 'echo "Could not connect to Redis: Connection refused" >&2; exit 1', 'Connection refused'],
    ['it is refused', 'echo "ERR Unknown option"', 'ERR Unknown option'],
    ['there is no answer', 'exit 124', 'no answer'],
    ['it is one of several answers', 'echo OK; echo ERR', 'OK\nERR'],
  ])('is not taken for done when %s', (_, answer, said) => {
    writeFileSync(at('answer'), answer);
    for (const { code, out } of [redis(), sentinel()]) {
      expect(code).toBe(1);
      expect(out).toContain(said);
    }
  });

  it('that failed leaves no note that the unit runs with the release', () => {
    release('state/releases/new', 'redis-server\t8.0.2');
    writeFileSync(at('answer'), 'exit 1');
    expect(sh('sh "$FOLDER/node/switch.sh" "$FOLDER/in" new 0 redis-server=live').code).toBe(1);
    expect(read('state/running/redis-server')).toBe('old\n');
  });

  it('is done when the answer is OK', () => {
    writeFileSync(at('answer'), 'echo OK');
    expect([redis().code, sentinel().code]).toEqual([0, 0]);
    expect(read('commands')).toBe('CONFIG SET maxmemory "1"\n');
  });
});

describe('facts.sh', () => {
  it('goes on when a file of an old release is gone', () => {
    rmSync(at('state/releases/old/files'), { recursive: true });
    const { code, out } = sh('sh "$1/node/facts.sh" new - - - - mymaster - -', folder);
    expect(code).toBe(0);
    expect(out.trim().split('\n').at(-1)).toContain('"end"');
    expect(out).toContain('manifest old');
    expect(out).not.toContain('content old');
  });
});
