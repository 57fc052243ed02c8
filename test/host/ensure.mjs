// @ts-check
import { aptInstall } from './apt.mjs';
import { undoLeftOver } from './no-start.mjs';
import { missingOf, needed, packagesFor } from './tools.mjs';

/**
 * Installs what the tests need and this machine lacks, when this is root and apt-get is there; otherwise nothing, and the tests that
 * need it are skipped with the reason. Ends the process when apt-get fails.
 * @param {{ policyFile?: string }} [options] where policy-rc.d is; for tests
 */
export async function ensureTools(options = {}) {
  const missing = missingOf(needed);
  const aptGet = missingOf([{ what: 'apt-get', package: 'apt' }]).length === 0;
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || !aptGet) return;
  undoLeftOver(options.policyFile);
  if (missing.length === 0) return;
  const packages = packagesFor(missing);
  console.log(`installing ${packages.join(', ')} (apt-get)`);
  try {
    await aptInstall(packages, options);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\nNothing else was started.`);
    process.exit(1);
  }
}
