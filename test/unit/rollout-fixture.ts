import type { RedisFacts } from '../../actions/core/redis.ts';
import { Secret } from '../../actions/core/secret.ts';
import type { NodeFacts } from '../../actions/rollout/facts.ts';
import { manifestText, parseManifest } from '../../actions/rollout/manifest.ts';
import { buildReleases, type ReleaseSources } from '../../actions/rollout/release.ts';
import type { Release } from '../../actions/rollout/release-types.ts';
import { loadRoles } from '../../actions/rollout/role.ts';
import { labEnvironment } from './environment-fixture.ts';

export const secrets = { redis: new Secret('redis-password'), sentinel: new Secret('sentinel-password') };

const lab: ReleaseSources = {
  environment: labEnvironment(),
  roles: loadRoles('configs'),
  secrets,
  binary: Buffer.from('\x7fELF'),
};
const labReleases = buildReleases(lab);

/** The lab's environment and the repository's configs/, with a binary of four bytes. */
export function sources(): ReleaseSources {
  return lab;
}

export function releaseOf(node: string, from = lab): Release {
  const release = (from === lab ? labReleases : buildReleases(from)).find((each) => each.node === node);
  if (release === undefined) throw new Error(`no release for ${node}`);
  return release;
}

/** A node that has and runs exactly this release. */
export function deployed(release: Release): NodeFacts {
  return {
    ...blank(release.node),
    current: release.digest,
    running: Object.fromEntries(release.units.map((unit) => [unit, release.digest])),
    packages: Object.fromEntries(release.packages.map((each) => [each.name, `5:${each.version ?? '1.0'}-3+deb13u1`])),
    units: Object.fromEntries(release.units.map((unit) => [unit, active])),
    disk: Object.fromEntries(release.files.map((file) => [file.path, file.sha256])),
  };
}

/** A node that has and runs `old` where it should have another release: as facts.sh tells it. */
export function deployedBefore(old: Release): NodeFacts {
  return {
    ...deployed(old),
    manifests: { [old.digest]: parseManifest(manifestText(old)) },
    contents: Object.fromEntries(
      old.files
        .filter((file) => file.template !== undefined)
        .map((file) => [`${old.digest} ${file.path}`, file.content.toString('utf8')]),
    ),
  };
}

const active = { active: 'active', sub: 'running', enabled: 'enabled', pid: 1, restarts: 0, sinceS: 1 };

/** A machine with nothing of ours. */
export function blank(node: string): NodeFacts {
  return {
    node,
    current: undefined,
    running: {},
    packages: {},
    units: {},
    disk: {},
    manifests: {},
    contents: {},
    lease: undefined,
    generation: 0,
    pending: undefined,
    last: undefined,
    bad: {},
    redis: undefined,
    sentinel: undefined,
    haproxy: undefined,
    holdsShared: undefined,
    health: undefined,
  };
}

export function primaryFacts(...replicas: readonly string[]): RedisFacts {
  return {
    role: 'primary',
    loading: false,
    offset: 100,
    readBytes: undefined,
    follows: undefined,
    replicas: replicas.map((address) => ({ address, online: true, offset: 100, lagS: 0 })),
  };
}
