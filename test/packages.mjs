// What a fresh clone lacks: node_modules, Node 24 among them. Plain JavaScript for any Node from 20 on.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const clone = fileURLToPath(new URL('..', import.meta.url));

/** The Node that Actions runs, from the npm package `node`. */
export const node = `${clone}node_modules/.bin/node`;

/** Runs `npm ci` unless node_modules already is what package-lock.json says. Ends the process when that fails. */
export function ensurePackages() {
  const stamp = `${clone}node_modules/.firedrill-lock`;
  const wanted = createHash('sha256')
    .update(readFileSync(`${clone}package-lock.json`))
    .digest('hex');
  if (existsSync(node) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('installing the packages of package-lock.json (npm ci)');
  const result = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: clone,
    stdio: 'inherit',
    timeout: 600_000,
  });
  if (result.status !== 0) {
    console.error('npm ci failed; see above. Nothing else was started.');
    process.exit(1);
  }
  writeFileSync(stamp, wanted);
}
