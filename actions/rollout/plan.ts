import { restartReason } from './directives.ts';
import type { NodeFacts } from './facts.ts';
import type { ManifestFile } from './manifest.ts';
import type { Release, ReleaseFile } from './release-types.ts';

/** How a unit is made to use what is on disk, from the mildest to the strongest. */
const hows = ['live', 'reload', 'restart'] as const;
export type How = (typeof hows)[number];

export interface UnitChange {
  readonly unit: string;
  readonly how: How;
  readonly why: string;
}

export interface FileChange {
  readonly path: string;
  readonly kind: 'add' | 'change' | 'remove' | 'repair';
  /** Text before and after; undefined for a binary or when the node does not know it any more. */
  readonly before: string | undefined;
  readonly after: string | undefined;
}

interface PackageChange {
  readonly name: string;
  /** The exact build that is there; undefined when none is. */
  readonly from: string | undefined;
  readonly to: string;
}

export interface NodePlan {
  readonly node: string;
  /** `install`: there is nothing of ours yet. */
  readonly action: 'nothing' | 'install' | 'change';
  readonly release: Release;
  readonly previous: string | undefined;
  /** Why this release must not be tried again: it failed on this node. Only force overrules it. */
  readonly refused: string | undefined;
  readonly packages: readonly PackageChange[];
  readonly files: readonly FileChange[];
  readonly units: readonly UnitChange[];
}

/** What has to be done on a node so that it has, and its units run with, the release. Pure. */
export function planNode(release: Release, facts: NodeFacts): NodePlan {
  const packages = packageChanges(release, facts);
  const files = fileChanges(release, facts);
  const units = release.units.flatMap((unit) => unitChange(unit, release, facts, packages, files));
  const same = facts.current === release.digest && packages.length + files.length + units.length === 0;
  const action = same ? 'nothing' : facts.current === undefined ? 'install' : 'change';
  const refused = same ? undefined : facts.bad[release.digest];
  return { node: release.node, action, release, previous: facts.current, refused, packages, files, units };
}

/** Nobody is served by them, and nobody waits for them. */
const onlookers: readonly string[] = ['prometheus-node-exporter', 'firedrill-redis-follow'];

/** Whether a node stops serving, if only for a moment, while the plan is applied. */
export function interrupts(plan: NodePlan): boolean {
  return (
    plan.action === 'change' && plan.units.some((unit) => unit.how === 'restart' && !onlookers.includes(unit.unit))
  );
}

/** 5:8.0.2-3+deb13u1 is upstream 8.0.2; 2.53.3+ds1-2 is 2.53.3. As upstream_version in node/packages.sh. */
export function upstreamVersion(build: string): string {
  return build
    .replace(/^\d+:/, '')
    .replace(/-[^-]*$/, '')
    .replace(/[+~](ds|dfsg)[0-9.]*$/, '');
}

function packageChanges(release: Release, facts: NodeFacts): PackageChange[] {
  return release.packages.flatMap(({ name, version }) => {
    const from = facts.packages[name];
    if (from !== undefined && (version === undefined || upstreamVersion(from) === version)) return [];
    return [{ name, from, to: version ?? 'any' }];
  });
}

function fileChanges(release: Release, facts: NodeFacts): FileChange[] {
  const current = facts.current === undefined ? undefined : manifestOf(facts.current, release, facts);
  const before = (path: string) => facts.contents[`${facts.current} ${path}`];
  const changes = release.files.flatMap((file): FileChange[] => {
    const old = current?.find((each) => each.path === file.path);
    const base = { path: file.path, before: before(file.path), after: textOf(file) };
    if (old === undefined) return [{ ...base, kind: 'add' }];
    if (!sameFile(old, file)) return [{ ...base, kind: 'change' }];
    // Somebody changed it on the node, or an earlier run died while it wrote.
    if (facts.disk[file.path] !== file.sha256) return [{ ...base, before: undefined, kind: 'repair' }];
    return [];
  });
  const gone = (current ?? []).filter((old) => !release.files.some((file) => file.path === old.path));
  return [
    ...changes,
    ...gone.map(({ path }): FileChange => ({ path, kind: 'remove', before: before(path), after: undefined })),
  ];
}

function unitChange(
  unit: string,
  release: Release,
  facts: NodeFacts,
  packages: readonly PackageChange[],
  files: readonly FileChange[],
): UnitChange[] {
  const running = facts.running[unit];
  const restart = (why: string): UnitChange[] => [{ unit, how: 'restart', why }];
  if (running === undefined) return restart('it has not run with a release yet');
  const state = facts.units[unit]?.active ?? 'unknown';
  if (state !== 'active') return restart(`it is ${state}`);
  const upgraded = packages.find((each) => each.from !== undefined && each.to !== 'any');
  if (upgraded !== undefined) return restart(`${upgraded.name} ${upgraded.from} becomes ${upgraded.to}`);
  const old = manifestOf(running, release, facts);
  if (old === undefined) return restart(`the release it runs with (${running.slice(0, 12)}) is not known any more`);
  const reasons = release.files
    .filter((file) => file.unit === unit)
    .flatMap((file) => fileReason(file, old, running, facts, files));
  const gone = old.find((each) => each.unit === unit && !release.files.some((file) => file.path === each.path));
  if (gone !== undefined) reasons.push({ how: 'restart', why: `${gone.path} goes away` });
  const strongest = hows.findLast((how) => reasons.some((reason) => reason.how === how));
  if (strongest === undefined) return [];
  const whys = reasons.filter((reason) => reason.how === strongest).map((reason) => reason.why);
  return [{ unit, how: strongest, why: whys.join(', ') }];
}

function fileReason(
  file: ReleaseFile,
  old: readonly ManifestFile[],
  running: string,
  facts: NodeFacts,
  files: readonly FileChange[],
): { how: How; why: string }[] {
  if (file.apply === 'none' || file.apply === 'seed') return [];
  const before = old.find((each) => each.path === file.path);
  if (before === undefined)
    return [{ how: file.apply === 'live' ? 'restart' : file.apply, why: `${file.path} is new` }];
  if (before.sha256 !== file.sha256) {
    if (file.apply !== 'live') return [{ how: file.apply, why: `${file.path} differs` }];
    const text = facts.contents[`${running} ${file.path}`];
    const reason =
      text === undefined ? 'what it runs with is not known' : restartReason(file.path, text, textOf(file) ?? '');
    return [
      { how: reason === undefined ? 'live' : 'restart', why: `${file.path} differs${reason ? `: ${reason}` : ''}` },
    ];
  }
  // A file that Redis or Sentinel reads only at start has harmed nobody yet when it is put right.
  const repaired = files.some((each) => each.kind === 'repair' && each.path === file.path);
  if (repaired && file.apply !== 'live') return [{ how: file.apply, why: `${file.path} was changed on the node` }];
  return [];
}

function manifestOf(digest: string, release: Release, facts: NodeFacts): readonly ManifestFile[] | undefined {
  return digest === release.digest ? release.files : facts.manifests[digest]?.files;
}

function sameFile(a: ManifestFile, b: ManifestFile): boolean {
  return a.sha256 === b.sha256 && a.mode === b.mode && a.owner === b.owner && a.group === b.group;
}

function textOf(file: ReleaseFile): string | undefined {
  return file.template === undefined ? undefined : file.content.toString('utf8');
}
