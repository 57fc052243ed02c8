import { FiredrillError } from '../core/errors.ts';
import type { Release, ReleasePackage } from './release-types.ts';
import { type ApplyWay, applyWays } from './role.ts';

/**
 * The manifest of a release as text: one thing a line, its fields apart by tabs, `-` for none, so that a POSIX shell reads it as easily
 * as we do. It holds no secret: files are there by their SHA-256.
 */
export function manifestText(release: Omit<Release, 'digest'>): string {
  const lines = [
    ['format', '1'],
    ['node', release.node],
    ...release.packages.map((each) => ['package', each.name, each.version ?? '-']),
    ...release.groups.map((name) => ['group', name]),
    ...release.users.map((each) => ['user', each.name, each.group, each.home]),
    ...release.directories.map((each) => ['dir', each.path, each.mode, each.owner, each.group]),
    ...release.units.map((name) => ['unit', name]),
    ...[...release.files, ...release.seeds].map((file) => [
      file.apply === 'seed' ? 'seed' : 'file',
      file.path,
      file.mode,
      file.owner,
      file.group,
      file.sha256,
      file.apply,
      file.unit ?? '-',
      file.checker ?? '-',
    ]),
  ];
  return `${lines.map((fields) => fields.join('\t')).join('\n')}\n`;
}

export interface ManifestFile {
  readonly path: string;
  readonly mode: string;
  readonly owner: string;
  readonly group: string;
  readonly sha256: string;
  readonly apply: ApplyWay;
  readonly unit: string | undefined;
}

/** What a node keeps of a release, without seeds. */
export interface Manifest {
  /** As it lies there. */
  readonly text: string;
  readonly packages: readonly ReleasePackage[];
  readonly units: readonly string[];
  readonly files: readonly ManifestFile[];
}

/** The manifest that a node keeps. Throws a FiredrillError (`remote`) on another format. */
export function parseManifest(text: string): Manifest {
  const lines = text.split('\n').map((line) => line.split('\t'));
  if (lines[0]?.[0] !== 'format' || lines[0][1] !== '1')
    throw new FiredrillError({ code: 'remote', what: 'a release on the node has a manifest of another format' });
  const of = (kind: string) => lines.filter((fields) => fields[0] === kind).map((fields) => fields.slice(1));
  return {
    text: `${text.trimEnd()}\n`,
    packages: of('package').map(([name = '', version]) => ({ name, version: version === '-' ? undefined : version })),
    units: of('unit').map(([name = '']) => name),
    files: of('file').flatMap(([path = '', mode = '', owner = '', group = '', sha256 = '', apply, unit = '-']) => {
      const way = applyWays.find((each) => each === apply);
      if (way === undefined) return [];
      return [{ path, mode, owner, group, sha256, apply: way, unit: unit === '-' ? undefined : unit }];
    }),
  };
}
