// `npm run lab`: plain JavaScript for any Node from 20 on, because in a fresh clone there is nothing else yet. It says what is
// missing before it installs anything, installs the packages, and hands over to cli.ts under the Node that Actions runs.
import { spawn } from 'node:child_process';
import { missingOf, needed } from '../host/tools.mjs';
import { clone, ensurePackages, node } from '../packages.mjs';

const missing = whatIsMissing();
if (missing.length > 0) {
  console.error(
    `The lab can't run here; nothing was installed or changed.\n${missing.map((each) => `  ${each}`).join('\n')}`,
  );
  process.exit(1);
}
ensurePackages();
const child = spawn(node, [`${clone}test/lab/cli.ts`, ...process.argv.slice(2)], { cwd: clone, stdio: 'inherit' });
// The terminal sends Ctrl-C to both; a kill reaches only this process and is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
process.on('SIGINT', () => {});
child.on('error', (error) => {
  console.error(`could not start ${node}: ${error.message}. Run npm ci`);
  process.exitCode = 1;
});
child.on('exit', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
});

/** What only the user can change. Packages that apt can install are not among it: the lab does that. */
function whatIsMissing() {
  if (process.platform !== 'linux') {
    return [
      `Linux is missing (this is ${process.platform}): the lab boots real machines with systemd-nspawn. Use a Debian or Ubuntu machine or VM.`,
    ];
  }
  const found = [];
  if (process.getuid() !== 0)
    found.push('Root is missing: machines, mounts and network namespaces need it. Run: sudo npm run lab');
  const tools = missingOf(needed.filter((each) => each.lab)).map((each) => each.what);
  if (tools.length > 0 && missingOf([{ what: 'apt-get', package: 'apt' }]).length > 0) {
    found.push(
      `${tools.join(', ')} ${tools.length === 1 ? 'is' : 'are'} missing, and apt-get, which would install them, too. Use a Debian or Ubuntu machine.`,
    );
  }
  if (Number(process.versions.node.split('.')[0]) < 20)
    found.push(`Node 20 or newer is missing (this is ${process.version}).`);
  return found;
}
