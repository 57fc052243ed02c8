import { existsSync, readdirSync } from 'node:fs';
import { sweepCache } from './cache.ts';
import { removeCgroups } from './cgroups.ts';
import type { Lab } from './lab.ts';
import { restoreLimits } from './limits.ts';
import { downNetwork, listNamespaces } from './network.ts';
import { endAll, processesInNamespaces } from './orphans.ts';
import { mountsUnder, removeFolder } from './overlay.ts';
import { endProcesses, removePropagation } from './supervisor.ts';

const propagation = '/run/systemd/nspawn/propagate';

/**
 * Removes everything of the lab, whatever state it is in and whoever made it: machines, processes in its namespaces, mounts,
 * namespaces, control groups, raised limits, half-built artefacts, its state folder. Keeps the cache. A second call finds nothing.
 * Gives what it removed, one line each. The caller must not be in the state folder.
 */
export async function sweep(lab: Lab): Promise<string[]> {
  const removed: string[] = [];
  const note = (count: number, what: string): void => {
    if (count > 0) removed.push(`${count} ${what}`);
  };
  note(await endProcesses(lab), 'processes of machines');
  note(await endAll(() => processesInNamespaces(listNamespaces(lab)), 2_000), "processes in the lab's namespaces");
  note(mountsUnder(lab.stateDir).length, 'mounts');
  const names = listNamespaces(lab);
  await downNetwork(lab);
  note(names.length, `network namespaces (${names.join(', ')})`);
  note(removeCgroups(lab).length, 'control groups');
  note(removeFolders(lab), "folders of nspawn's");
  note(restoreLimits(lab).length, 'raised limits');
  note(await sweepCache(lab.cacheDir), 'half-built artefacts');
  if (existsSync(lab.stateDir)) {
    await removeFolder(lab.stateDir);
    removed.push(lab.stateDir);
  }
  return removed;
}

function removeFolders(lab: Lab): number {
  if (!existsSync(propagation)) return 0;
  const names = readdirSync(propagation).filter((name) => name.startsWith(`${lab.name}-`));
  for (const name of names) removePropagation(name);
  return names.length;
}
