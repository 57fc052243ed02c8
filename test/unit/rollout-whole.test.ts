import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { plainLog } from '../../actions/core/log.ts';
import type { ExecOptions, ExecResult, Ssh } from '../../actions/core/ssh.ts';
import type { ReleaseSources } from '../../actions/rollout/release.ts';
import type { RolloutReport } from '../../actions/rollout/report.ts';
import { loadRoles } from '../../actions/rollout/role.ts';
import { rollOut } from '../../actions/rollout/rollout.ts';
import { secrets } from './rollout-fixture.ts';
import { environment } from './rollout-world.ts';

/** Controller and node together: the whole rollout of one node, whose commands run here, in a folder instead of a root. */

const [node] = environment.nodes.filter((each) => each.roles.includes('monitor'));
const user = userInfo().username;
const unit = 'prometheus';

let folder: string;
let unreachable: boolean;
const at = (name: string) => join(folder, name);
const read = (name: string) => (existsSync(at(name)) ? readFileSync(at(name), 'utf8') : '');

const programs: Readonly<Record<string, string>> = {
  // The scripts as they arrive name the node's folders; here they are others.
  sh: `for each in "$FOLDER"/state/incoming/*/node/*; do [ ! -f "$each" ] || sed -i \\
      -e "s#\\([ =\\"]\\)/var/lib/firedrill#\\1$FOLDER/state#g" -e "s#/etc/systemd/system#$FOLDER/etc#g" "$each"; done
    exec /bin/sh "$@"`,
  sudo: 'shift; exec "$@"',
  curl: 'cat "$FOLDER/health"',
  unshare: 'exit 0',
  journalctl: 'echo "its last words"',
  'dpkg-query': 'exit 1',
  systemctl: `
    echo "$*" >>"$FOLDER/units"
    case $1 in
      show) printf 'Id=${unit}.service\\nActiveState=active\\nSubState=running\\nMainPID=7\\nNRestarts=0\\n' ;;
      is-active) echo active ;;
    esac`,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'firedrill-whole-'));
  unreachable = false;
  for (const name of ['bin', 'state', 'etc', 'configs/monitor']) mkdirSync(at(name), { recursive: true });
  for (const [name, text] of Object.entries(programs))
    writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  writeFileSync(at('health'), '200');
  const file = {
    template: 'conf',
    path: at('etc/conf'),
    owner: user,
    group: user,
    mode: '0644',
    apply: 'restart',
    unit,
  };
  writeFileSync(at('configs/monitor/role.yaml'), JSON.stringify({ role: 'monitor', units: [unit], files: [file] }));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function exec(command: string, { stdin = '', onLine }: ExecOptions): Promise<ExecResult> {
  const here = (text: string) => text.replaceAll('/var/lib/firedrill', at('state'));
  const env = { PATH: `${at('bin')}:${process.env.PATH}`, FOLDER: folder };
  const child = spawn('sh', ['-c', here(command)], { env, timeout: 20_000 });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.on('error', () => {});
  child.stdin.end(command.includes('-s --') ? here(String(stdin)) : stdin);
  return new Promise((resolve) =>
    child.on('close', (code) => {
      for (const line of stdout.split('\n')) onLine?.(line);
      resolve({ code: code ?? -1, stdout, stderr });
    }),
  );
}

/** A rollout of `setting`; gives its report, and what it threw. */
async function roll(setting: string, mode: 'apply' | 'rollback' = 'apply', force = false) {
  if (node === undefined) throw new Error('no monitor');
  writeFileSync(at('configs/monitor/conf'), `setting ${setting}\n`);
  const sources: ReleaseSources = { environment, roles: loadRoles(at('configs')), secrets, binary: Buffer.alloc(0) };
  const ssh: Ssh = { node: node.name, exec, forward: () => Promise.reject(new Error('no tunnels')), close: () => {} };
  const again = async () => (unreachable ? Promise.reject(new Error('no route to host')) : ssh);
  const reports: RolloutReport[] = [];
  const lines: string[] = [];
  const thrown = await rollOut(
    sources,
    new Map([[node.name, { node, ssh, again }]]),
    { mode, force },
    {
      log: plainLog((line) => lines.push(line)),
      summary: async () => {},
      who: 'test',
      signal: new AbortController().signal,
      onReport: (report) => reports.push(report),
    },
  ).then(
    () => undefined,
    (error: Error) => error.message,
  );
  return { thrown, report: reports[0], log: lines.join('\n') };
}

describe('a rollout of one node', { timeout: 60_000 }, () => {
  it('installs, changes, changes nothing, and goes back', async () => {
    const first = await roll('1');
    expect([first.thrown, read('etc/conf')]).toEqual([undefined, 'setting 1\n']);
    expect(first.report?.nodes[0]?.phases.map((phase) => phase.phase)).toEqual([
      'room',
      'install',
      'users',
      'stage',
      'validate',
      'arm',
      'switch',
      'restart',
      'active',
      'gate',
      'confirm',
    ]);
    expect(existsSync(at('state/pending'))).toBe(false);
    await roll('2');
    expect(read('etc/conf')).toBe('setting 2\n');
    const same = await roll('2');
    expect([same.report?.changed, same.log]).toEqual([false, 'nothing to change']);
    const back = await roll('2', 'rollback');
    expect([back.thrown, back.report?.mode, read('etc/conf')]).toEqual([undefined, 'rollback', 'setting 1\n']);
    expect((await roll('1')).report?.changed).toBe(false);
  });

  it('whose gate fails is taken back with evidence, refused, and tried again by force', async () => {
    await roll('1');
    writeFileSync(at('health'), '503');
    const failed = await roll('2');
    expect(failed.thrown).toMatch(/^monitor-1, gate: not reached in 40 ms: unhealthy: Prometheus answers 503\n/);
    expect(failed.thrown).toContain('its last words');
    expect(failed.thrown).toContain('    - setting 1\n    + setting 2');
    expect([read('etc/conf'), failed.report?.bad.length]).toEqual(['setting 1\n', 1]);
    writeFileSync(at('health'), '200');
    const refused = await roll('2');
    expect(refused.thrown).toMatch(
      /refused, nothing was changed\nmonitor-1: release \w{12} failed in run \w+: monitor-1, gate/,
    );
    expect((await roll('2', 'apply', true)).thrown).toBeUndefined();
    expect(read('etc/conf')).toBe('setting 2\n');
    expect(read('state/bad')).toBe('');
  });

  it('that could not be confirmed is settled by the next one', async () => {
    await roll('1');
    unreachable = true;
    const lost = await roll('2');
    expect(lost.thrown).toMatch(
      /^no route to host\nmonitor-1 could not be told to go back: no route to host\. It does so by itself/,
    );
    expect([read('etc/conf'), existsSync(at('state/pending'))]).toEqual(['setting 2\n', true]);
    unreachable = false;
    const next = await roll('3');
    expect(next.log).toMatch(/monitor-1: run \w+ left release \w{12} unconfirmed; the node goes back first/);
    expect([next.thrown, read('etc/conf')]).toEqual([undefined, 'setting 3\n']);
    expect(next.report?.nodes[0]?.previous).not.toBe(lost.report?.nodes[0]?.digest);
  });
});
