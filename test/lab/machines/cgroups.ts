import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import type { Lab } from './lab.ts';

/**
 * Where a machine's control group comes from.
 *
 * - A host with systemd: `systemd-run --scope -p Delegate=yes` gives each machine a scope of its own (all hosts with cgroup v2 and
 *   systemd, GitHub's runners among them). systemd owns the tree there, and nobody else may make groups in it.
 * - A host without systemd: we make `/LAB/LAB-NAME` in the hierarchies that systemd inside the machine uses: the v2 one, and on a
 *   hybrid host also the v1 one named systemd.
 *
 * Without a group of its own each machine would be put into the same `payload` group as all others.
 */
export type CgroupKind = { readonly kind: 'scope' } | { readonly kind: 'own'; readonly mounts: readonly string[] };

/** Looks at this host. */
export function cgroupKind(): CgroupKind {
  if (existsSync('/run/systemd/system')) return { kind: 'scope' };
  return { kind: 'own', mounts: cgroupMounts(readFileSync('/proc/self/mountinfo', 'utf8')) };
}

/** The mount points, in /proc/self/mountinfo's text, of cgroup v2 and of the v1 hierarchy named systemd. */
export function cgroupMounts(mountinfo: string): string[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [left = '', right = ''] = line.split(' - ');
    const point = left.split(' ')[4];
    const [type, , options = ''] = right.split(' ');
    const wanted = type === 'cgroup2' || (type === 'cgroup' && options.split(',').includes('name=systemd'));
    return wanted && point !== undefined ? [point] : [];
  });
}

/** The command that runs `argv` in the machine's control group. Makes the group where that is our part. */
export function inCgroup(kind: CgroupKind, lab: Lab, id: string, argv: readonly string[]): string[] {
  if (kind.kind === 'scope') {
    const scope = ['systemd-run', '--scope', '--quiet', '--collect', `--unit=${id}.scope`, '--property=Delegate=yes'];
    return [...scope, '--', ...argv];
  }
  const groups = kind.mounts.map((mount) => `${mount}/${lab.name}/${id}`);
  // A process can only join before it becomes nspawn, which looks at its own group first thing.
  const join = 'for group in $1; do echo $$ > "$group/cgroup.procs" || exit 125; done; shift; exec "$@"';
  return ['/bin/sh', '-c', join, 'sh', groups.join(' '), ...argv];
}

export function makeCgroups(kind: CgroupKind, lab: Lab, id: string): void {
  if (kind.kind === 'scope') return;
  for (const mount of kind.mounts) mkdirSync(`${mount}/${lab.name}/${id}`, { recursive: true });
}

/** Removes the empty groups of a machine, or of the whole lab; gives those it removed. Under systemd a scope goes by itself. */
export function removeCgroups(lab: Lab, id?: string): string[] {
  const kind = cgroupKind();
  if (kind.kind === 'scope') return [];
  const roots = kind.mounts.map((mount) => (id === undefined ? `${mount}/${lab.name}` : `${mount}/${lab.name}/${id}`));
  return roots.filter((root) => existsSync(root) && removeTree(root));
}

function removeTree(group: string): boolean {
  for (const entry of readdirSync(group, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(`${group}/${entry.name}`);
  }
  try {
    rmdirSync(group);
    return true;
  } catch {
    // A process is still in it; the next sweep gets it.
    return false;
  }
}
