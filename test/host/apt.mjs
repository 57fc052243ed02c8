// @ts-check
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { denyStart } from './no-start.mjs';
import { needed } from './tools.mjs';

const deadlineMs = 600_000;
const lockWait = '--option=DPkg::Lock::Timeout=120';

/**
 * Installs packages with apt-get, as root. Of the list's services (tools.mjs) none is started, now or when the machine boots.
 * Rejects with what apt-get said and what to install by hand when it fails, overruns the deadline, or is interrupted.
 * @param {readonly string[]} packages
 * @param {{ policyFile?: string }} [options] where policy-rc.d is; for tests
 */
export async function aptInstall(packages, { policyFile } = {}) {
  const services = needed.filter((each) => each.service && packages.includes(each.package)).map((each) => each.package);
  const undo = services.length === 0 ? () => {} : denyStart(services, policyFile);
  try {
    await aptGet(['update'], packages);
    await aptGet(['--yes', '--no-install-recommends', 'install', ...packages], packages);
  } finally {
    undo();
    // What the packages have enabled would start with the machine. Where there is no systemctl no systemd boots.
    if (services.length > 0) spawnSync('systemctl', ['--quiet', 'disable', ...services], { timeout: 30_000 });
  }
}

/**
 * @param {readonly string[]} words
 * @param {readonly string[]} packages
 */
async function aptGet(words, packages) {
  const folder = mkdtempSync(`${tmpdir()}/firedrill-apt-`);
  // A file, since a pipe would stay open as long as any process that a package starts.
  const log = openSync(`${folder}/log`, 'w');
  try {
    const ended = await exitOf(words, log);
    if (ended === undefined) return;
    const said = readFileSync(`${folder}/log`, 'utf8').trim().split('\n').slice(-10).join('\n');
    throw new Error(
      `apt-get ${words.join(' ')}: ${ended}\n${said}\nInstall by hand: apt-get install ${packages.join(' ')}`,
    );
  } finally {
    closeSync(log);
    rmSync(folder, { recursive: true });
  }
}

/**
 * Runs apt-get. Gives how it ended, undefined when well. A signal to this process goes to apt-get, so that the caller can still tidy up.
 * @param {readonly string[]} words
 * @param {number} log
 * @returns {Promise<string | undefined>}
 */
async function exitOf(words, log) {
  const child = spawn('apt-get', ['--quiet', lockWait, ...words], {
    stdio: ['ignore', log, log],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  let ended = '';
  /** @param {string} why */
  const stop = (why) => {
    ended = why;
    child.kill('SIGTERM');
  };
  const timers = [
    setTimeout(stop, deadlineMs, `it took longer than ${deadlineMs / 1000} s`),
    setTimeout(() => child.kill('SIGKILL'), deadlineMs + 20_000),
  ];
  /** @type {readonly NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stop);
  try {
    return await new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(code === 0 ? undefined : ended || `exit code ${code ?? signal}`));
    });
  } finally {
    for (const timer of timers) clearTimeout(timer);
    for (const signal of signals) process.off(signal, stop);
  }
}
