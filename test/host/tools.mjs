// @ts-check
// What the lab and the tests need of this machine beside Node, and the package of Debian and Ubuntu that brings it: the one list.
// Plain JavaScript for any Node from 20 on.
import { existsSync } from 'node:fs';

/**
 * @typedef {object} Needed
 * @property {string} what A program to be found on the PATH, or a file by its whole path.
 * @property {string} package
 * @property {boolean} [lab] The lab can't do without; the others are for tests, which are skipped without them.
 * @property {boolean} [service] The package starts a service of its name, which nobody here wants.
 */

/** @type {readonly Needed[]} */
export const needed = [
  { what: 'systemd-nspawn', package: 'systemd-container', lab: true },
  { what: 'mmdebstrap', package: 'mmdebstrap', lab: true },
  { what: 'ip', package: 'iproute2', lab: true },
  { what: 'nft', package: 'nftables', lab: true },
  { what: 'nsenter', package: 'util-linux', lab: true },
  { what: 'flock', package: 'util-linux', lab: true },
  { what: 'mount', package: 'mount', lab: true },
  { what: 'mkfs.ext4', package: 'e2fsprogs', lab: true },
  { what: '/usr/share/keyrings/debian-archive-keyring.gpg', package: 'debian-archive-keyring', lab: true },
  { what: 'git', package: 'git', lab: true },
  { what: 'ssh', package: 'openssh-client' },
  { what: 'ssh-keygen', package: 'openssh-client' },
  { what: 'curl', package: 'curl' },
  { what: 'cc', package: 'gcc' },
  { what: '/usr/include/stdio.h', package: 'libc6-dev' },
  { what: 'make', package: 'make' },
  { what: 'python3', package: 'python3' },
  { what: 'shellcheck', package: 'shellcheck' },
  { what: 'redis-cli', package: 'redis-tools' },
  { what: 'redis-server', package: 'redis-server', service: true },
  { what: 'redis-sentinel', package: 'redis-sentinel', service: true },
];

/**
 * The entries of `list` that are not there. Programs of root's are often not on a user's PATH, and are looked for all the same.
 * @param {readonly Needed[]} list
 * @param {(path: string) => boolean} [exists]
 * @returns {Needed[]}
 */
export function missingOf(list, exists = existsSync) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return list.filter(
    ({ what }) => !(what.startsWith('/') ? [what] : folders.map((each) => `${each}/${what}`)).some(exists),
  );
}

/**
 * The packages that bring them, each once.
 * @param {readonly Needed[]} missing
 * @returns {string[]}
 */
export function packagesFor(missing) {
  return [...new Set(missing.map((each) => each.package))];
}

/**
 * Why a test that needs these programs of the list is skipped: which are missing, and what to install; undefined when all are there.
 * @param {readonly string[]} programs
 * @param {(path: string) => boolean} [exists]
 * @returns {string | undefined}
 */
export function notInstalled(programs, exists) {
  const missing = missingOf(
    needed.filter((each) => programs.includes(each.what)),
    exists,
  );
  if (missing.length === 0) return undefined;
  return `not installed: ${missing.map((each) => each.what).join(', ')} (apt-get install ${packagesFor(missing).join(' ')})`;
}
