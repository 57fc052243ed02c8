import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { FiredrillError } from '../../../actions/core/errors.ts';

const entriesFile = 'entries';

/**
 * The shell script that fills a folder with packages and all they need beyond the root in $1, and with the archive's own index
 * entries for them. mmdebstrap runs it with the host's apt set up for that root, so nothing is installed and all is verified.
 */
export function downloadScript(folder: string, packages: readonly string[]): string {
  return [
    'set -eu',
    'export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"',
    `cd '${folder}'`,
    `apt-get -q -y --download-only --no-install-recommends -o Dir::Cache::archives="$PWD" install ${packages.join(' ')}`,
    // NAME_VERSION_ARCH.deb, with an epoch's colon as %3a.
    `ls *.deb | sed 's/_[^_]*$//; s/%3a/:/; s/_/=/' | xargs apt-cache show > ${entriesFile}`,
  ].join('\n');
}

export interface Entry {
  /** The stanza's fields, without Filename. */
  readonly text: string;
  /** As apt's download names it. */
  readonly downloaded: string;
  /** As the archive names it: without the epoch. */
  readonly file: string;
}

/** The stanzas of an index that come from an archive (those of dpkg's own list have no Filename), each file once. */
export function parseEntries(text: string): Entry[] {
  const found = new Map<string, Entry>();
  for (const stanza of text.split(/\n\n+/)) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
    const file = field('Filename').split('/').at(-1) ?? '';
    if (file === '') continue;
    const downloaded = `${field('Package')}_${field('Version').replaceAll(':', '%3a')}_${field('Architecture')}.deb`;
    const kept = stanza
      .trim()
      .replace(/^Filename: .*\n?/m, '')
      .trimEnd();
    found.set(downloaded, { text: kept, downloaded, file });
  }
  return [...found.values()];
}

/** Turns a folder that `downloadScript` filled into an archive for apt: Packages and Release beside the packages. */
export function writeIndex(folder: string): void {
  const files = new Set(readdirSync(folder).filter((name) => name.endsWith('.deb')));
  const entries = parseEntries(readFileSync(`${folder}/${entriesFile}`, 'utf8')).filter((entry) =>
    files.has(entry.downloaded),
  );
  if (entries.length !== files.size)
    throw new FiredrillError({
      code: 'bug',
      where: folder,
      what: `${files.size} packages were downloaded, but the index has ${entries.length} of them`,
    });
  const stanzas = entries.map((entry) => {
    renameSync(`${folder}/${entry.downloaded}`, `${folder}/${entry.file}`);
    return `${entry.text}\nFilename: ./${entry.file}\n`;
  });
  const packages = stanzas.join('\n');
  writeFileSync(`${folder}/Packages`, packages);
  writeFileSync(`${folder}/Release`, releaseText(packages, new Date()));
  for (const rest of [entriesFile, 'lock', 'partial']) rmSync(`${folder}/${rest}`, { recursive: true, force: true });
}

/** The Release file that vouches for this text of Packages. */
export function releaseText(packages: string, date: Date): string {
  const sum = createHash('sha256').update(packages).digest('hex');
  return [
    'Origin: firedrill-lab',
    'Suite: lab',
    `Date: ${date.toUTCString().replace('GMT', 'UTC')}`,
    'SHA256:',
    ` ${sum} ${Buffer.byteLength(packages)} Packages`,
    '',
  ].join('\n');
}
