import { accessSync, constants, mkdirSync, mkdtempSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { asFiredrillError, FiredrillError, messageOf } from '../../../actions/core/errors.ts';
import { aptInstall } from '../../host/apt.mjs';
import { cgroupKind } from './cgroups.ts';
import { mountDisk } from './disk.ts';
import { tryRun } from './exec.ts';
import type { Lab } from './lab.ts';
import { mountOverlay, removeFolder } from './overlay.ts';
import { type Missing, missingTools } from './tools.ts';

/** All that keeps the lab from running on this host; empty when it can. Changes nothing. */
export async function preflight(lab: Lab): Promise<Missing[]> {
  if (process.platform !== 'linux') {
    return [{ what: `Linux (this is ${process.platform})`, fix: 'Use a Debian or Ubuntu machine or VM' }];
  }
  const missing = missingTools();
  if (process.getuid?.() !== 0) {
    const fix = 'Machines, mounts and network namespaces need it: run this with sudo';
    return [{ what: 'root', fix }, ...missing];
  }
  return [...missing, ...(await missingPowers(lab, missing))];
}

/** One message for everything at once. */
export function preflightError(missing: readonly Missing[]): FiredrillError {
  const lines = missing.map((each) => `  ${each.what}: ${each.fix}`);
  return new FiredrillError({
    code: 'config',
    what: `the lab can't run here, nothing was installed or changed. Missing:\n${lines.join('\n')}`,
  });
}

/**
 * Makes the host ready: what packages bring is installed with apt-get, when that is all that is missing. Otherwise throws one error
 * that names everything, and installs nothing.
 */
export async function ensureReady(lab: Lab, log: (line: string) => void): Promise<void> {
  const missing = await preflight(lab);
  if (missing.length === 0) return;
  const apt = (await tryRun(['apt-get', '--version']).catch(() => undefined))?.code === 0;
  if (!apt || missing.some((each) => each.package === undefined)) throw preflightError(missing);
  await installMissing(missing, log);
  const still = await preflight(lab);
  if (still.length > 0) throw preflightError(still);
}

/** Installs the packages of what is missing. Needs root and apt-get. */
export async function installMissing(missing: readonly Missing[], log: (line: string) => void): Promise<void> {
  const packages = [...new Set(missing.flatMap((each) => each.package ?? []))];
  if (packages.length === 0) return;
  log(`installing ${packages.join(', ')} (apt-get)`);
  await aptInstall(packages).catch((error: unknown) => {
    throw asFiredrillError(error, { code: 'remote' });
  });
}

/** What root can't do here: in an unprivileged container root is not enough. */
async function missingPowers(lab: Lab, tools: readonly Missing[]): Promise<Missing[]> {
  const found: Missing[] = [];
  const fix = 'Use a virtual machine or a real one, or a container with --privileged';
  if (!hasCgroups()) found.push({ what: 'a writable /sys/fs/cgroup (version 2, or hybrid)', fix });
  if (tools.length > 0) return found;
  const network = await tryRun(['unshare', '--net', 'true']);
  if (network.code !== 0) found.push({ what: `network namespaces (${network.stderr.trim()})`, fix });
  const reason = await noMount(nearestFolder(lab.stateDir));
  if (reason !== undefined) {
    found.push({
      what: `a loop mount and an overlay over it in ${lab.stateDir} (${reason})`,
      fix: 'Use a machine that may mount, with loop devices (modprobe loop)',
    });
  }
  return found;
}

function hasCgroups(): boolean {
  const kind = cgroupKind();
  if (kind.kind === 'scope') return true;
  try {
    for (const mount of kind.mounts) accessSync(mount, constants.W_OK);
    return kind.mounts.length > 0;
  } catch {
    return false;
  }
}

/** Why a machine's disk and the root over it can't be mounted there; undefined when they can. */
async function noMount(folder: string): Promise<string | undefined> {
  const trial = mkdtempSync(`${folder}/.firedrill-check-`);
  try {
    mkdirSync(`${trial}/lower`);
    await mountDisk(trial, 16);
    await mountOverlay({ lower: `${trial}/lower`, dir: trial });
    return undefined;
  } catch (error) {
    return messageOf(error);
  } finally {
    await removeFolder(trial);
  }
}

function nearestFolder(path: string): string {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? path : nearestFolder(dirname(path));
}
