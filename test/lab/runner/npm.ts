import { existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

export interface HostNpm {
  /** npm-cli.js itself. */
  readonly cli: string;
  /** The folder that holds it and all that it requires; a container needs it at the same path. */
  readonly root: string;
}

/** The npm on this host's PATH, or undefined. */
export function hostNpm(path = process.env.PATH ?? ''): HostNpm | undefined {
  const found = path
    .split(delimiter)
    .map((directory) => join(directory, 'npm'))
    .find((candidate) => existsSync(candidate));
  if (found === undefined) return undefined;
  const cli = realpathSync(found);
  const root = dirname(dirname(cli));
  // Debian's package spreads npm's dependencies over the folders beside it.
  return { cli, root: root.startsWith('/usr/share/nodejs/') ? '/usr/share/nodejs' : root };
}
