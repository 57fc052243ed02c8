import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Environment } from '../../../actions/core/environment/schema.ts';
import type { Inventory } from '../../../actions/core/inventory.ts';
import type { Release, ReleaseFile } from '../../../actions/rollout/release-types.ts';
import { run } from '../../lab/machines/exec.ts';

/** An Ansible project: its folder, and what Ansible reads there. */
export interface Project {
  readonly folder: string;
}

/** What an Ansible run took and did. */
export interface AnsibleRun {
  readonly ms: number;
  /** Waiting in loops for a unit to be well: tries after the first, each with its pause. */
  readonly waitedMs: number;
  /** Tasks that changed something, over all nodes. */
  readonly changed: number;
}

/** Between two tries of a health check (s). */
const retryS = 1;

/** How long a connection that nobody uses stays: longer than a rollout of ours takes, and not for ever where nobody can end it any more. */
const persistS = 180;

/**
 * Writes the project that brings these releases to their nodes, in this order: the same files with the same checkers as `validate`, the
 * same reloads and restarts as handlers, the same local health checks. Tuned: pipelining, 50 forks, connections kept, no facts gathered.
 */
export function writeProject(
  folder: string,
  environment: Environment,
  inventory: Inventory,
  releases: readonly Release[],
  privateKey: string,
): Project {
  const put = (path: string, text: string | Buffer, mode = 0o644): void => {
    mkdirSync(dirname(`${folder}/${path}`), { recursive: true });
    writeFileSync(`${folder}/${path}`, text, { mode });
  };
  put('key', privateKey, 0o600);
  put('known_hosts', inventory.nodes.map((node) => `${node.publicAddress} ${node.hostKey}\n`).join(''));
  put('ansible.cfg', config(folder, environment));
  const hosts = Object.fromEntries(
    inventory.nodes.map((node) => [
      node.name,
      { ansible_host: node.publicAddress, ansible_port: environment.ssh.port },
    ]),
  );
  put('hosts.json', JSON.stringify({ all: { hosts } }));
  for (const release of releases)
    for (const file of release.files) put(`files/${release.node}${file.path}`, file.content, 0o600);
  const plays = releases.map((release) => playOf(folder, environment, release));
  // Ansible reads YAML, of which JSON is a part.
  put('site.json', JSON.stringify(plays));
  put('all.json', JSON.stringify([together(folder, environment, releases)]));
  put('check.sh', checker);
  put('prepare.json', JSON.stringify([prepare(folder)]));
  return { folder };
}

function config(folder: string, environment: Environment): string {
  return `[defaults]
inventory = ${folder}/hosts.json
remote_user = ${environment.ssh.user}
private_key_file = ${folder}/key
interpreter_python = /usr/bin/python3
gathering = explicit
forks = 50
retry_files_enabled = False
[privilege_escalation]
become = True
[ssh_connection]
pipelining = True
control_path_dir = ${folder}/connections
control_path = %(directory)s/%%C
ssh_args = -o ControlMaster=auto -o ControlPersist=${persistS}s -o UserKnownHostsFile=${folder}/known_hosts -o StrictHostKeyChecking=yes -o PreferredAuthentications=publickey -o GSSAPIAuthentication=no
`;
}

/** One node's play: a playbook of them, in the order of a rollout, is one node at a time. */
function playOf(folder: string, environment: Environment, release: Release) {
  return {
    hosts: release.node,
    gather_facts: false,
    serial: 1,
    any_errors_fatal: true,
    tasks: tasksOf(folder, environment, release),
    handlers: handlersOf(release.units),
  };
}

/** All nodes at once, each with its own files: what Ansible does when there is nothing to do one at a time. */
function together(folder: string, environment: Environment, releases: readonly Release[]) {
  const vars = Object.fromEntries(
    releases.map((release) => [
      release.node,
      {
        units: release.units,
        health: healthUrl(environment, release) ?? '',
        files: release.files.map((file) => itemOf(folder, release.node, file)),
      },
    ]),
  );
  return {
    hosts: 'all',
    gather_facts: false,
    vars: { nodes: vars },
    tasks: [
      // One task for all files, without handlers: quicker, and right as long as nothing changes.
      { name: 'files', ...copyTask, loop: '{{ nodes[inventory_hostname].files }}' },
      ...healthTasks('{{ nodes[inventory_hostname].units | join(" ") }}'),
      { ...uriTask('{{ nodes[inventory_hostname].health }}'), when: 'nodes[inventory_hostname].health != ""' },
    ],
  };
}

const copyTask = {
  copy: {
    src: '{{ item.src }}',
    dest: '{{ item.dest }}',
    owner: '{{ item.owner }}',
    group: '{{ item.group }}',
    mode: '{{ item.mode }}',
    validate: '{{ item.validate | default(omit) }}',
  },
  loop_control: { label: '{{ item.dest }}' },
};

function itemOf(folder: string, node: string, file: ReleaseFile) {
  const { path, owner, group, mode, checker } = file;
  const how = file.apply === 'reload' ? 'reload' : 'restart';
  return {
    src: `${folder}/files/${node}${path}`,
    dest: path,
    ...{ owner, group, mode },
    ...(checker === undefined ? {} : { validate: `sh /var/lib/firedrill-bench/check.sh ${checker} %s ${path}` }),
    notify: [
      ...(path.startsWith('/etc/systemd/') ? ['read units'] : []),
      ...(file.unit === undefined || file.apply === 'none' ? [] : [`${how} ${file.unit}`]),
    ],
  };
}

function tasksOf(folder: string, environment: Environment, release: Release) {
  const url = healthUrl(environment, release);
  // A task for each set of handlers: one that loops over all files would notify the handlers of all when one changes.
  const groups = Map.groupBy(
    release.files.map((file) => itemOf(folder, release.node, file)),
    (item) => item.notify.join(),
  );
  return [
    ...[...groups.values()].map((loop) => ({ name: 'files', ...copyTask, notify: loop[0]?.notify ?? [], loop })),
    { name: 'now', meta: 'flush_handlers' },
    ...healthTasks(release.units.join(' ')),
    ...(url === undefined ? [] : [uriTask(url)]),
  ];
}

function healthTasks(units: string) {
  const until = { register: 'told', until: 'told.rc == 0', retries: 30, delay: retryS };
  return [{ name: 'active', command: `systemctl is-active ${units}`, changed_when: false, ...until }];
}

function uriTask(url: string) {
  return { name: 'answers', uri: { url }, register: 'got', until: 'got.status == 200', retries: 30, delay: retryS };
}

function healthUrl(environment: Environment, { node, roles }: Release): string | undefined {
  const address = environment.nodes.find((each) => each.name === node)?.address;
  if (roles.includes('app')) return `http://${address}:${environment.app.port}/healthz`;
  return roles.includes('monitor') ? `http://${address}:${environment.monitor.port}/-/ready` : undefined;
}

function handlersOf(units: readonly string[]) {
  return [
    { name: 'read units', systemd: { daemon_reload: true } },
    ...units.flatMap((unit) => [
      { name: `restart ${unit}`, systemd: { name: unit, state: 'restarted' } },
      { name: `reload ${unit}`, systemd: { name: unit, state: 'reloaded' } },
    ]),
  ];
}

/** What is done once, before anything is timed: the checkers that take more than one line, and a first connection. */
function prepare(folder: string) {
  return {
    hosts: 'all',
    gather_facts: false,
    tasks: [
      { file: { path: '/var/lib/firedrill-bench', state: 'directory', mode: '0700' } },
      { copy: { src: `${folder}/check.sh`, dest: '/var/lib/firedrill-bench/check.sh', mode: '0644' } },
    ],
  };
}

/** As node/check.sh does it, for one file: CHECKER FILE PATH, where PATH is where it will lie. */
const checker = `set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
try_server() {
  "$@" >"$scratch/log" 2>&1 &
  for _ in $(seq 100); do
    if [ "$(redis-cli -s "$scratch/socket" PING 2>/dev/null)" = PONG ]; then
      redis-cli -s "$scratch/socket" SHUTDOWN NOSAVE
      return 0
    fi
    sleep 0.02
  done
  cat "$scratch/log"
  return 1
}
case $1 in
  redis)
    sed -e '/^user default /d' /etc/redis/redis.conf >"$scratch/conf"
    try_server redis-server "$scratch/conf" --include "$2" --port 0 --unixsocket "$scratch/socket" --requirepass '' \\
      --dir "$scratch" --pidfile "$scratch/pid" --supervised no --appendonly no --save '' --replicaof no one ;;
  sentinel)
    sed -e '/^user default /d' -e '/^sentinel known-/d' -e 's/^\\(sentinel monitor [^ ]*\\) [^ ]* [^ ]*/\\1 127.0.0.1 1/' /etc/redis/sentinel.conf >"$scratch/conf"
    try_server redis-sentinel "$scratch/conf" --include "$2" --port 0 --unixsocket "$scratch/socket" --requirepass '' \\
      --dir "$scratch" --pidfile "$scratch/pid" --supervised no ;;
  haproxy) haproxy -c -dW -f "$2" ;;
  sessiond) /usr/local/bin/sessiond --check --config "$2" ;;
  promtool) promtool check config "$2" ;;
  rules) promtool check rules --lint=all --lint-fatal "$2" ;;
  amtool) amtool check-config "$2" ;;
  blackbox) prometheus-blackbox-exporter --config.check --config.file "$2" ;;
  systemd)
    name=\${3#/etc/systemd/system/}
    mkdir -p "$(dirname "$scratch/$name")"
    cp "$2" "$scratch/$name"
    unit=\${name%.d/*}
    said=$(SYSTEMD_UNIT_PATH="$scratch:" systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) || true
    case $said in *"$scratch"*) echo "$said"; exit 1 ;; esac ;;
esac
`;

/** Runs a playbook and reads its result. Throws with Ansible's output when it fails. */
export async function play(project: Project, playbook: string): Promise<AnsibleRun> {
  const begun = performance.now();
  const argv = ['ansible-playbook', `${project.folder}/${playbook}`];
  const { stdout } = await run(argv, {
    timeoutMs: 300_000,
    env: { ...process.env, ANSIBLE_CONFIG: `${project.folder}/ansible.cfg`, ANSIBLE_HOME: `${project.folder}/home` },
  });
  return { ms: performance.now() - begun, ...readResult(stdout) };
}

/** What Ansible printed: its retries and its recap. Pure. Throws when there is no recap. */
export function readResult(stdout: string): Pick<AnsibleRun, 'waitedMs' | 'changed'> {
  const recap = [...stdout.matchAll(/^\S+ +: ok=\d+ +changed=(\d+) /gm)];
  if (recap.length === 0) throw new Error(`Ansible printed no recap: ${stdout.slice(-500)}`);
  const retries = stdout.match(/^FAILED - RETRYING/gm)?.length ?? 0;
  return { waitedMs: retries * retryS * 1000, changed: recap.reduce((sum, [, count]) => sum + Number(count), 0) };
}

/** Ends the connections that Ansible keeps; it can make no new ones. Returns when it is done, for a process that is about to end. */
export function disconnect({ folder }: Project): void {
  rmSync(`${folder}/key`, { force: true });
  const sockets = `${folder}/connections`;
  for (const name of existsSync(sockets) ? readdirSync(sockets) : [])
    spawnSync('ssh', ['-O', 'exit', '-o', `ControlPath=${sockets}/${name}`, 'any'], { timeout: 5000 });
}
