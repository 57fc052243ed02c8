import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { FiredrillError } from '../../../actions/core/errors.ts';
import { run, tryRun } from './exec.ts';

export interface OverlayArgs {
  readonly lower: string;
  readonly dir: string;
}

/** The command that mounts `dir`/root over the image: reads from `lower`, writes to the disk that is mounted at `dir`/disk. */
export function overlayArgv(args: OverlayArgs): string[] {
  const layers = `lowerdir=${escapeLayer(args.lower)},upperdir=${escapeLayer(`${args.dir}/disk/upper`)},workdir=${escapeLayer(`${args.dir}/disk/work`)}`;
  return ['mount', '-t', 'overlay', '-o', layers, 'firedrill', `${args.dir}/root`];
}

export async function mountOverlay(args: OverlayArgs): Promise<void> {
  for (const part of ['disk/upper', 'disk/work', 'root']) mkdirSync(`${args.dir}/${part}`, { recursive: true });
  if (mountsUnder(args.dir).includes(`${args.dir}/root`)) return;
  await run(overlayArgv(args), {
    fix: 'The file system of this folder must be able to hold an overlay (ext4, xfs, btrfs or tmpfs; not another overlay or NFS)',
  });
}

/** Unmounts everything at or below a folder, innermost first; gives what it unmounted. */
export async function unmountUnder(folder: string): Promise<string[]> {
  const points = mountsUnder(folder);
  for (const point of points) {
    // Lazily when something still holds it: the name is gone then, and the rest goes with its last user.
    const result = await tryRun(['umount', point]);
    if (result.code !== 0) await tryRun(['umount', '--lazy', point]);
  }
  return points;
}

/** Unmounts and removes a folder. Throws, and removes nothing, when a mount in it stays: what it shows may be somebody's files. */
export async function removeFolder(folder: string): Promise<void> {
  await unmountUnder(folder);
  const [stuck] = mountsUnder(folder);
  if (stuck !== undefined)
    throw new FiredrillError({
      code: 'remote',
      where: stuck,
      what: 'could not be unmounted',
      fix: `See who uses it: fuser -vm ${stuck}`,
    });
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
}

/** Mount points at or below a folder, innermost first. */
export function mountsUnder(folder: string, mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  return mountPoints(mountinfo)
    .filter((point) => point === folder || point.startsWith(`${folder}/`))
    .reverse();
}

/** The mount points of /proc/self/mountinfo's text, in the order they were mounted. */
export function mountPoints(mountinfo: string): string[] {
  return mountinfo
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''));
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function escapeLayer(path: string): string {
  return path.replace(/[\\,:]/g, '\\$&');
}
