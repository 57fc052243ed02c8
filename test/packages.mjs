// What a fresh clone lacks: node_modules, Node 24 among them. Plain JavaScript for any Node from 20 on.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const clone = fileURLToPath(new URL('..', import.meta.url));

/** The Node that Actions runs, from the npm package `node`. */
export const node = `${clone}node_modules/.bin/node`;

/** Runs `npm ci` unless node_modules already is what package-lock.json says. Ends the process when that fails. */
export function ensurePackages() {
  if (existsSync(node) && isInstalled()) return;
  console.log('installing the packages of package-lock.json (npm ci)');
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: clone,
    stdio: 'inherit',
    timeout: 600_000,
  });
  if (result.status === 0) return;
  console.error('npm ci failed; see above. Nothing else was started.');
  process.exit(1);
}

/** npm keeps a lock file of what it installed. Packages for other platforms are in the repository's and not in that one. */
function isInstalled() {
  const installed = packagesIn(`${clone}node_modules/.package-lock.json`);
  const wanted = packagesIn(`${clone}package-lock.json`);
  const same = (path) => installed[path]?.version === wanted[path]?.version;
  const needed = Object.keys(wanted).filter((path) => path !== '' && !wanted[path].optional);
  return needed.every(same) && Object.keys(installed).every(same);
}

function packagesIn(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}
