import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

let folder: string;
const at = (name: string) => join(folder, name);
const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');
const policy = 'policy-rc.d';

/** Stand-ins. `installed` holds NAME VERSION lines, `archive` what can be had, `simulation` what apt-get -s says, `asked` what was asked. */
const programs: Readonly<Record<string, string>> = {
  'dpkg-query': `
    if [ $# = 4 ] && [ "$3" = '\${db:Status-Status} \${Version}' ]; then exec sed -n "s/^$4 /installed /p" "$FOLDER/installed"; fi
    shift 3; for name; do sed -n "s/^$name /installed &/p" "$FOLDER/installed"; done`,
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
    if [ "$*" = 'restart redis-server' ] && [ -e "$FOLDER/dies" ]; then
      # As when the power is cut: nobody sees another die first.
      all=$(pgrep -f "$FOLDER/node/switch.sh")
      kill -STOP $all
      kill -KILL $all
    fi
    case $* in 'restart firedrill-revert.service') ! [ -e "$FOLDER/no-deadman" ]; exit ;; esac
    case $1 in is-system-running) cat "$FOLDER/system" 2>/dev/null || echo running ;; restart) ! [ -e "$FOLDER/broken" ] || ! rm "$FOLDER/broken" ;; show) shift 3; for unit; do printf 'Id=%s.service\\nActiveState=%s\\n\\n' "$unit" "$(cat "$FOLDER/active" 2>/dev/null || echo active)"; done ;; esac`,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-node-'));
  for (const name of [
    'bin',
    'node',
    'state/running',
    'state/releases/old/files',
    'state/incoming',
    'in',
    'etc/redis',
    'etc/systemd/system',
  ])
    mkdirSync(at(name), { recursive: true });
  for (const [name, text] of Object.entries(programs))
    writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  for (const name of readdirSync('actions/rollout/node')) {
    const text = readFileSync(`actions/rollout/node/${name}`, 'utf8')
      .replaceAll('/var/lib/firedrill', at('state'))
      .replaceAll('/usr/sbin/policy-rc.d', at(policy))
      .replaceAll('/etc/redis/', at('etc/redis/'))
      .replaceAll('/etc/systemd/system', at('etc/systemd/system'));
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
  const text = `port 6379\nloglevel ${name}\n`;
  const sha256 = createHash('sha256').update(text).digest('hex');
  writeFileSync(join(at(name), 'files', file), text);
  const lines = packages.map((each) => `package\t${each}`);
  lines.push(
    'unit\tredis-server',
    ['file', file, '0644', username, group, sha256, 'live', 'redis-server', '-'].join('\t'),
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
  const stage = () => sh('sh "$1/node/stage.sh" "$1/in" new', folder);

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

/** Runs switch.sh from in/ to this release, armed with the nonce `n` for a minute. */
const change = (digest = 'new', how = 'restart', expected = 'old', confirmMs = '60000') =>
  sh(
    'shift; sh "$FOLDER/node/switch.sh" "$FOLDER/in" "$@"',
    '',
    digest,
    '0',
    'r1',
    '5',
    'n',
    confirmMs,
    expected,
    `redis-server=${how}`,
  );
const apply = (run: string, ...words: string[]) => sh('shift; sh "$FOLDER/node/apply.sh" "$@"', '', run, ...words);
const config = () => read('etc/redis/firedrill.conf');
const configOf = (name: string) =>
  readFileSync(join(at(`state/releases/${name}/files`), at('etc/redis/firedrill.conf')), 'utf8');
const current = () => readlinkSync(at('state/current'));

describe('a switch', () => {
  beforeEach(() => release('in'));

  it('keeps maintainer scripts from restarting anything while it upgrades, and not longer', () => {
    release('state/releases/new', 'redis-server\t8.0.3');
    expect(change()).toMatchObject({ code: 0 });
    expect(read('policy-seen')).toContain('exit 101');
    expect(existsSync(at(policy))).toBe(false);
    expect(read('installed')).toBe('redis-server 5:8.0.3-1\n');
  });

  it('arms the dead-man before it touches anything', () => {
    release('state/releases/new');
    expect(change()).toMatchObject({ code: 0 });
    expect(read('units')).toMatch(/^restart firedrill-revert.service\n/);
    expect(read('state/pending')).toMatch(
      /^deadline\t\d+\nrun\tr1\ngeneration\t5\nnonce\tn\nfrom\told\nto\tnew\nunit\tredis-server\trestart\n/,
    );
    writeFileSync(at('no-deadman'), '');
    expect(apply('r1', 'confirm', 'n').code).toBe(0);
    release('state/releases/newer');
    expect(change('newer', 'restart', 'new').out).toContain('without it this node could not save itself');
    expect([current(), existsSync(at('state/pending'))]).toEqual(['releases/new', false]);
  });

  it('is refused on a node that changed after the plan was made', () => {
    release('state/releases/new');
    const { code, out } = change('new', 'restart', 'other');
    expect(code).toBe(1);
    expect(out).toContain('this node has release old, and the plan was made for other; nothing was changed here');
    expect([config(), read('units')]).toEqual(['', '']);
  });

  it('that goes back takes the packages back too, if the archive still has them', () => {
    release('state/releases/new', 'redis-server\t8.0.3');
    writeFileSync(at('broken'), '');
    const { code, out } = change();
    expect(code).toBe(1);
    expect(out).toContain('"back at release old"');
    expect(read('installed')).toBe('redis-server 5:8.0.2-3\n');
    expect(read('asked').trim().split('\n').at(-1)).toBe(
      'install --no-install-recommends --allow-downgrades redis-server=5:8.0.2-3',
    );
    expect(config()).toBe(configOf('old'));
    expect(existsSync(at(policy))).toBe(false);
  });

  it('that goes back says which packages stay', () => {
    release('state/releases/new', 'redis-server\t8.0.3');
    writeFileSync(at('archive'), 'redis-server 5:8.0.3-1\n');
    writeFileSync(at('broken'), '');
    expect(change().out).toContain('back at release old; packages stay: redis-server 5:8.0.3-1"');
  });

  it('that failed is remembered with its reason, and no record of it waits for a confirmation', () => {
    release('state/releases/new', 'redis-server\t8.0.2');
    writeFileSync(at('broken'), '');
    expect(change().out).toContain('back at release old"');
    expect(read('state/bad')).toMatch(/^new\tr1\trestart: /);
    expect(existsSync(at('state/pending'))).toBe(false);
    expect(read('state/running/redis-server')).toBe('old\n');
  });

  it('to the release that the node has goes back nowhere and marks nothing', () => {
    writeFileSync(at('broken'), '');
    expect(change('old').out).toContain('there is nothing to go back to');
    expect(read('state/bad')).toBe('');
  });

  it('on a node whose files are those of the release already only starts its units anew', () => {
    expect(change('old').code).toBe(0);
    writeFileSync(at('units'), '');
    expect(apply('r1', 'confirm', 'n').code).toBe(0);
    expect(change('old')).toMatchObject({ code: 0, out: expect.not.stringContaining('firedrill.conf') });
    expect(read('units')).toContain('restart redis-server');
  });

  it('that fails because the node is shutting down says nothing of the release, which waits for the dead-man', () => {
    release('state/releases/new');
    writeFileSync(at('broken'), '');
    writeFileSync(at('system'), 'stopping\n');
    expect(change().code).toBe(137);
    expect([read('state/bad'), current()]).toEqual(['', 'releases/new']);
    expect(read('state/pending')).toContain('\nto\tnew\n');
  });

  it('that dies between the files and the restart leaves the restart due', () => {
    release('state/releases/new');
    writeFileSync(at('dies'), '');
    change();
    expect([current(), read('state/running/redis-server')]).toEqual(['releases/new', 'old\n']);
    expect(existsSync(at('state/pending'))).toBe(true);
  });
});

describe('the dead-man', () => {
  const watch = () => sh('sh "$FOLDER/node/revert.sh" watch');
  beforeEach(() => {
    release('in');
    release('state/releases/new');
  });

  it('goes back when nobody confirms in time, also after a reboot', () => {
    expect(change('new', 'restart', 'old', '0').code).toBe(0);
    expect(current()).toBe('releases/new');
    expect(watch()).toMatchObject({ code: 0, out: expect.stringContaining('back at release old') });
    expect([current(), config(), read('state/running/redis-server')]).toEqual([
      'releases/old',
      configOf('old'),
      'old\n',
    ]);
    // A run that died says nothing of its release.
    expect(read('state/bad')).toBe('');
    expect(watch()).toMatchObject({ code: 0, out: '' });
  });

  it('goes back where one that was cut short has put the files back already', () => {
    change('new', 'restart', 'old', '0');
    writeFileSync(at('etc/redis/firedrill.conf'), configOf('old'));
    expect(watch()).toMatchObject({ code: 0, out: expect.stringContaining('back at release old') });
    expect([current(), existsSync(at('state/pending'))]).toEqual(['releases/old', false]);
  });

  it('waits until then', () => {
    change('new', 'restart', 'old', '1500');
    const begun = performance.now();
    watch();
    expect(performance.now() - begun).toBeGreaterThan(800);
    expect(current()).toBe('releases/old');
  });

  it('waits for a command that is at work, and leaves alone what that one confirms', () => {
    change('new', 'restart', 'old', '0');
    const { out } = sh(`
      (flock 9; sleep 0.5; rm "$FOLDER/state/pending") 9>"$FOLDER/state/lock" &
      sleep 0.1; sh "$FOLDER/node/revert.sh" watch; wait`);
    expect([out, current()]).toEqual(['', 'releases/new']);
  });

  it('tries again when it could not go back', () => {
    change('new', 'restart', 'old', '0');
    rmSync(at('state/releases/old/files'), { recursive: true });
    expect(watch().code).not.toBe(0);
    expect(existsSync(at('state/pending'))).toBe(true);
  });

  it('is installed where no run clears it away, and enabled', () => {
    writeFileSync(at('in/manifest'), '');
    apply('r1', 'stage', 'x', '1', '30000', 'me');
    expect(readdirSync(at('state/node'))).toContain('revert.sh');
    expect(read('etc/systemd/system/firedrill-revert.service')).toContain('WantedBy=multi-user.target');
    expect(read('units')).toContain('enable --quiet firedrill-revert.service');
  });
});

describe('a confirmation', () => {
  beforeEach(() => {
    release('in');
    release('state/releases/new');
  });

  it('lets the release stay, and can be said twice', () => {
    change();
    expect(apply('r1', 'confirm', 'n').code).toBe(0);
    expect(apply('r1', 'confirm', 'n').code).toBe(0);
    expect(sh('sh "$FOLDER/node/revert.sh" watch')).toEqual({ code: 0, out: '' });
    expect(current()).toBe('releases/new');
  });

  it.each([
    ['with another nonce', 'r1', 'm', '60000', 'this is not the nonce'],
    ['of another run', 'r2', 'n', '60000', "run r1's to confirm, not run r2's"],
    ['that comes too late', 'r1', 'n', '0', 'too late'],
  ])('%s is refused', (_, run, nonce, confirmMs, said) => {
    change('new', 'restart', 'old', confirmMs);
    const { code, out } = apply(run, 'confirm', nonce);
    expect([code, out]).toEqual([1, expect.stringContaining(said)]);
    expect(existsSync(at('state/pending'))).toBe(true);
  });

  it('after the node has gone back is refused', () => {
    change('new', 'restart', 'old', '0');
    sh('sh "$FOLDER/node/revert.sh" watch');
    expect(apply('r1', 'confirm', 'n').out).toContain('the node has gone back');
  });

  it('clears the mark of a release that was forced', () => {
    writeFileSync(at('state/bad'), 'new\tr0\tx\nother\tr0\ty\n');
    change();
    apply('r1', 'confirm', 'n');
    expect(read('state/bad')).toBe('other\tr0\ty\n');
  });
});

describe('a revert that the run asks for', () => {
  beforeEach(() => {
    release('in');
    release('state/releases/new');
    change();
  });
  const revert = (why: string, run = 'r1') => apply(run, 'revert', '5', '30000', 'me', why);

  it('undoes what is not confirmed yet, with the journal first, and marks the release bad', () => {
    const { code, out } = revert('gate: /healthz answers 503');
    expect(code).toBe(0);
    expect(out).toMatch(/"journal".*\n.*back at release old/);
    expect(read('state/bad')).toBe('new\tr1\tgate: /healthz answers 503\n');
    expect([current(), existsSync(at('state/pending'))]).toEqual(['releases/old', false]);
  });

  it('undoes what it has confirmed, without a mark', () => {
    apply('r1', 'confirm', 'n');
    expect(revert('-').out).toContain('back at release old');
    expect([current(), read('state/bad'), existsSync(at('state/last'))]).toEqual(['releases/old', '', false]);
  });

  it('does not undo what another run has made', () => {
    apply('r1', 'confirm', 'n');
    expect(revert('-', 'r2').out).toContain('had not been changed');
    expect(current()).toBe('releases/new');
  });
});

describe('the next run', () => {
  const settle = () => sh('sh "$FOLDER/node/revert.sh" settle');
  beforeEach(() => {
    release('in');
    release('state/releases/new');
    change();
  });

  it('takes back what a dead one left unconfirmed, at once', () => {
    expect(settle()).toMatchObject({ code: 0, out: expect.stringContaining('back at release old') });
    expect(settle()).toEqual({ code: 0, out: '' });
    expect(current()).toBe('releases/old');
  });

  it('does not while the lease says that it lives', () => {
    apply('r1', 'renew', '5', '30000', 'me');
    expect(settle()).toMatchObject({ code: 1, out: expect.stringContaining('run r1 holds this node') });
    expect(current()).toBe('releases/new');
  });
});

describe('a lease', () => {
  const renew = (run: string, generation: number, forMs = 30_000) =>
    apply(run, 'renew', String(generation), String(forMs), 'me');

  it('is refused to a run older than one that was here, even when nobody holds the node', () => {
    expect(renew('newer', 7).code).toBe(0);
    expect(apply('newer', 'finish').code).toBe(0);
    expect(renew('older', 6)).toMatchObject({
      code: 1,
      out: expect.stringContaining('a newer run (7, by me) was here already; this one is 6'),
    });
    expect(apply('older', 'revert', '6', '1', 'me', '-').code).toBe(1);
    expect(renew('next', 8).code).toBe(0);
  });

  it('is refused while another run has it, and free when its time is over', () => {
    renew('one', 1, 300);
    expect(renew('two', 2).out).toContain('run one (me) has worked on this node');
    sh('sleep 0.35');
    expect(renew('two', 2).code).toBe(0);
    expect(renew('one', 1).out).toContain('run two (me)');
  });
});

describe('a release that the node has kept', () => {
  beforeEach(() => {
    release('state/releases/kept', 'redis-server\t8.0.1');
    sh('cp "$FOLDER/state/releases/kept/manifest" "$FOLDER/in"');
  });
  const stage = () => sh('sh "$FOLDER/node/stage.sh" "$FOLDER/in" kept');

  it('is staged without its files, and switched to with what packages the archive has', () => {
    expect(stage()).toMatchObject({ code: 0 });
    expect(change('kept')).toMatchObject({ code: 0, out: expect.stringContaining('redis-server stays 5:8.0.2-3') });
    expect(config()).toBe(configOf('kept'));
  });

  it('is refused when it is there no more, or not as it was', () => {
    writeFileSync(join(at('state/releases/kept/files'), at('etc/redis/firedrill.conf')), 'edited');
    expect(stage().code).toBe(1);
    rmSync(at('state/releases/kept'), { recursive: true });
    expect(stage().out).toContain('release kept is not on this node any more');
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
    writeFileSync(at('etc/redis/firedrill.conf'), 'port 6379\nloglevel state/releases/old\nmaxmemory 1\n');
    writeFileSync(at('etc/redis/set'), 'mymaster quorum 2');
  });
  const redis = () => call('leaving=$state/releases/old; live_redis');
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
    expect(change('new', 'live').code).toBe(1);
    expect(read('state/running/redis-server')).toBe('old\n');
  });

  it('is done when the answer is OK', () => {
    writeFileSync(at('answer'), 'echo OK; echo OK');
    expect(redis()).toMatchObject({ code: 0 });
    expect(read('commands')).toBe('CONFIG SET maxmemory "1"\nCONFIG REWRITE\n');
    writeFileSync(at('answer'), 'echo OK');
    expect(sentinel().code).toBe(0);
  });
});

describe('a setting of Sentinel that is no longer set', () => {
  const gone = (before: string, now: string) => {
    release('in');
    const old = join(at('state/releases/old/files'), at('etc/redis/firedrill-sentinel.set'));
    mkdirSync(dirname(old), { recursive: true });
    writeFileSync(old, before);
    writeFileSync(at('state/running/redis-sentinel'), 'old\n');
    writeFileSync(at('wanted'), now);
    return call(`leaving=$state/releases/old; gone_settings ${at('wanted')} $(former_sets)`);
  };

  it('has its default again', () => {
    const before = '# ours\nmymaster quorum 2\nmymaster parallel-syncs 2\nmymaster failover-timeout 6000\n';
    expect(gone(before, '# ours\nmymaster quorum 3\nmymaster parallel-syncs 1\n')).toEqual({
      code: 0,
      out: 'mymaster failover-timeout 180000\n',
    });
  });

  it('is refused where there is no default', () => {
    const { code, out } = gone('mymaster quorum 2\n', '# ours\n');
    expect(code).toBe(1);
    expect(out).toContain('Sentinel has no default for quorum');
  });
});

describe('a unit that is watched', () => {
  it.each([
    ['active', 0, ''],
    ['reloading', 0, ''],
    ['failed', 1, 'redis-server is failed'],
    ['activating', 1, 'redis-server is activating'],
  ])('is %s', (state, code, said) => {
    writeFileSync(at('active'), state);
    const watched = call('stays_active 60 redis-server socat');
    expect([watched.code, watched.out.trim()]).toEqual([code, said]);
  });

  it('is not taken for active when systemd says nothing', () => {
    writeFileSync(at('bin/systemctl'), '#!/bin/sh\nexit 1\n');
    expect(call('stays_active 60 redis-server')).toEqual({ code: 1, out: 'systemd tells of 0 units instead of 1\n' });
  });
});

describe('facts.sh', () => {
  it('goes on when a file of an old release is gone', () => {
    rmSync(at('state/releases/old/files'), { recursive: true });
    const { code, out } = sh('sh "$1/node/facts.sh" new - - - - mymaster - - - mark', folder);
    expect(code).toBe(0);
    expect(out.trim().split('\n').at(-1)).toBe('mark:0');
    expect(out).toContain('manifest old');
    expect(out).not.toContain('content old');
  });

  it('tells which releases there are, and with `any` what the node could go back to', () => {
    release('in');
    release('state/releases/new');
    change();
    apply('r1', 'confirm', 'n');
    const told = (digest: string) => {
      const { out } = sh('sh "$1/node/facts.sh" "$2" - - - - mymaster - - - mark', folder, digest);
      return [...out.matchAll(/^mark (.*)/gm)].map((match) => match[1]);
    };
    expect(told('state')).toEqual(['time', 'last', 'current', 'running', 'end']);
    expect(told('new').filter((name) => name?.startsWith('manifest'))).toEqual([]);
    expect(told('any').filter((name) => name?.startsWith('manifest'))).toEqual(['manifest new', 'manifest old']);
  });
});
