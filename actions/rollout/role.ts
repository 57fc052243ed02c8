import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { z } from 'zod';
import { roles } from '../core/environment/schema.ts';
import { FiredrillError, messageOf } from '../core/errors.ts';

const mode = z.string().regex(/^0[0-7]{3}$/, "write the mode as a string, e.g. '0640'");
const absolute = z.string().regex(/^\/[A-Za-z0-9._/-]+$/, 'write an absolute path without blanks');
const word = z.string().regex(/^[A-Za-z0-9._-]+$/, 'use letters, digits, dots, hyphens and underscores');

const relative = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/, 'write a path below the folder');

/** How a changed file takes effect: `seed` is written once and then belongs to the service; `live` without a restart where it can. */
export const applyWays = ['seed', 'live', 'reload', 'restart', 'none'] as const;
export type ApplyWay = (typeof applyWays)[number];

export const checkers = [
  'redis',
  'sentinel',
  'haproxy',
  'keepalived',
  'sessiond',
  'promtool',
  'rules',
  'amtool',
  'blackbox',
  'systemd',
] as const;
export type Checker = (typeof checkers)[number];

const file = z.strictObject({
  /** A LiquidJS template in the same folder or below, or the name of a binary that the rollout was given. */
  template: relative.optional(),
  binary: z.literal('sessiond').optional(),
  path: absolute,
  owner: word.default('root'),
  group: word.default('root'),
  mode,
  apply: z.enum(applyWays),
  unit: word.optional(),
  checker: z.enum(checkers).optional(),
});

const roleSchema = z.strictObject({
  /** `every`: on each node, whatever its roles. */
  role: z.enum([...roles, 'every']),
  /** Only in environments where this key has this value. */
  when: z.strictObject({ key: z.string(), is: z.string() }).optional(),
  /** Package to the key of environment.packages with its upstream version, or to `any`. */
  packages: z.record(word, word).default({}),
  groups: z.array(word).default([]),
  users: z.array(z.strictObject({ name: word, group: word, home: absolute })).default([]),
  directories: z.array(z.strictObject({ path: absolute, owner: word, group: word, mode })).default([]),
  units: z.array(word).default([]),
  files: z.array(file).default([]),
});

export interface RoleConfig extends z.output<typeof roleSchema> {
  /** Folder of role.yaml and its templates. */
  readonly folder: string;
}

/** Every `configs/NAME/role.yaml`, by name of the folder. Throws a FiredrillError (`config`) with all mistakes of a file. */
export function loadRoles(configsFolder: string): RoleConfig[] {
  let names: string[];
  try {
    names = readdirSync(configsFolder).sort();
  } catch (error) {
    throw new FiredrillError({
      code: 'config',
      where: configsFolder,
      what: messageOf(error),
      fix: 'Run from the top of the repository',
    });
  }
  return names
    .filter((name) => existsSync(`${configsFolder}/${name}/role.yaml`))
    .map((name) => loadRole(`${configsFolder}/${name}`));
}

function loadRole(folder: string): RoleConfig {
  const where = `${folder}/role.yaml`;
  try {
    const parsed = roleSchema.safeParse(parse(readFileSync(where, 'utf8')));
    if (parsed.success) return { folder, ...parsed.data };
    const mistakes = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
    throw new Error(mistakes.join('; '));
  } catch (error) {
    throw new FiredrillError({ code: 'config', where, what: messageOf(error), fix: 'Correct it; nothing was touched' });
  }
}
