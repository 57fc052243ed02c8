import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { initialPrimary } from '../core/environment/nodes.ts';
import type { Environment, EnvironmentNode } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';
import { manifestText } from './manifest.ts';
import type { Release, ReleaseFile, ReleasePackage } from './release-types.ts';
import { renderTemplate } from './render.ts';
import { loadRoles, type RoleConfig } from './role.ts';
import { type TarEntry, tar } from './tar.ts';
import { type FleetSecrets, templateVariables } from './variables.ts';

export interface ReleaseSources {
  readonly environment: Environment;
  readonly roles: readonly RoleConfig[];
  readonly secrets: FleetSecrets;
  /** The C service's executable; empty where only names are asked for. */
  readonly binary: Buffer;
}

/**
 * Reads configs/ and the binary, and renders everything once for its mistakes. Throws a FiredrillError (`config`) before any machine is
 * asked anything.
 */
export function readSources(
  environment: Environment,
  secrets: FleetSecrets,
  binaryPath: string,
  root: string,
): ReleaseSources {
  let binary: Buffer;
  try {
    binary = binaryPath === '' ? Buffer.alloc(0) : readFileSync(binaryPath);
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      where: 'input binary',
      what: messageOf(error),
      fix: 'Run the build first',
    });
  }
  if (secrets.alerts === undefined && needsAlertSecret(environment.monitor.alerts)) {
    throw new FiredrillError({
      code: 'config',
      where: 'input alert-secret',
      what: `is missing, and monitor.alerts sends to ${environment.monitor.alerts.to}, which wants it`,
      fix: 'Set the secret ALERT_SECRET of this GitHub environment',
    });
  }
  const sources = { environment, roles: loadRoles(join(root, 'configs')), secrets, binary };
  buildReleases(sources);
  return sources;
}

function needsAlertSecret(alerts: Environment['monitor']['alerts']): boolean {
  switch (alerts.to) {
    case 'github':
      return true;
    case 'webhook':
      return alerts.url === '';
    case 'mail':
      return alerts.user !== '';
    case 'none':
      return false;
  }
}

/** A run asks for them several times. */
const built = new WeakMap<ReleaseSources, Map<string, readonly Release[]>>();

/** One release per node, in the environment's order. Throws a FiredrillError (`config`) that names template:line:column. */
export function buildReleases(
  sources: ReleaseSources,
  primary = initialPrimary(sources.environment),
): readonly Release[] {
  const before = built.get(sources) ?? new Map<string, readonly Release[]>();
  const releases =
    before.get(primary.name) ?? sources.environment.nodes.map((node) => buildRelease(sources, node, primary));
  built.set(sources, before.set(primary.name, releases));
  return releases;
}

function buildRelease(sources: ReleaseSources, node: EnvironmentNode, primary: EnvironmentNode): Release {
  const roles = sources.roles.filter((role) => belongs(role, node, sources.environment));
  const variables = templateVariables(sources.environment, node, primary, sources.secrets);
  const all = roles.flatMap((role) => role.files.map((file) => buildFile(role, file, variables, sources.binary)));
  const content = {
    node: node.name,
    roles: node.roles,
    packages: uniqueByName(roles.flatMap((role) => packagesOf(role, sources.environment))),
    groups: roles.flatMap((role) => role.groups),
    users: roles.flatMap((role) => role.users),
    directories: roles.flatMap((role) => role.directories),
    units: roles.flatMap((role) => role.units),
    files: all.filter((file) => file.apply !== 'seed'),
    seeds: all.filter((file) => file.apply === 'seed'),
  };
  return { ...content, digest: sha256(Buffer.from(manifestText({ ...content, seeds: [] }))) };
}

function belongs({ role, when }: RoleConfig, node: EnvironmentNode, environment: Environment): boolean {
  if (role !== 'every' && !node.roles.includes(role)) return false;
  if (when === undefined) return true;
  const value = when.key
    .split('.')
    .reduce<unknown>((part, key) => (part as Record<string, unknown> | undefined)?.[key], environment);
  return value === when.is;
}

function buildFile(
  role: RoleConfig,
  file: RoleConfig['files'][number],
  variables: object,
  binary: Buffer,
): ReleaseFile {
  const made = file.template === undefined ? undefined : renderFile(`${role.folder}/${file.template}`, variables);
  const content = made?.content ?? binary;
  return {
    path: file.path,
    owner: file.owner,
    group: file.group,
    mode: file.mode,
    apply: file.apply,
    unit: file.unit,
    checker: file.checker,
    sha256: sha256(content),
    content,
    template: made?.template,
  };
}

function renderFile(file: string, variables: object): Pick<ReleaseFile, 'content' | 'template'> {
  let template: string;
  try {
    template = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      where: file,
      what: messageOf(error),
      fix: 'Add the template or correct role.yaml beside it',
    });
  }
  const rendered = renderTemplate(file, template, variables);
  return { content: Buffer.from(rendered.text), template: { file, lines: rendered.templateLines } };
}

function packagesOf(role: RoleConfig, environment: Environment): ReleasePackage[] {
  return Object.entries(role.packages).map(([name, key]) => {
    if (key === 'any') return { name, version: undefined };
    const version = (environment.packages as Record<string, string>)[key];
    if (version !== undefined) return { name, version };
    throw new FiredrillError({
      code: 'config',
      where: `${role.folder}/role.yaml`,
      what: `package ${name} takes its version from packages.${key}, which the environment does not have`,
      fix: `Use one of ${Object.keys(environment.packages).join(', ')}, or any`,
    });
  });
}

/** redis-tools may be wanted by two roles of one node. */
function uniqueByName(packages: readonly ReleasePackage[]): ReleasePackage[] {
  return [...new Map(packages.map((each) => [each.name, each])).values()];
}

/** What is sent to a node on standard input: its release, the seeds, and the scripts that apply it. */
export async function bundle(release: Release, scripts: ReadonlyMap<string, Buffer>): Promise<Buffer> {
  const sent = release.kept === undefined ? release.files : [];
  const files = sent.map((file): TarEntry => entry(`files${file.path}`, file.content, 0o600));
  const seeds = release.seeds.map((file): TarEntry => entry(`seeds${file.path}`, file.content, 0o600));
  const code = [...scripts].map(([name, content]): TarEntry => entry(`node/${name}`, content, 0o700));
  const manifest = entry('manifest', Buffer.from(release.kept ?? manifestText(release)), 0o600);
  return gzipSync(await tar([manifest, ...files, ...seeds, ...code]), { level: 6 });
}

function entry(path: string, content: Buffer, mode: number): TarEntry {
  return { path, content, mode };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
