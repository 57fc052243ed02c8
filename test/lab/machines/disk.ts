import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { run } from './exec.ts';
import { mountsUnder } from './overlay.ts';

/**
 * Mounts a machine's disk at `dir`/disk; makes it at first, with what `dir`/disk holds by then. It is a file of the host that grows with
 * what is written, and ends at `sizeMb`: a machine can fill its own disk, and not the host's. Nothing when it is mounted.
 */
export async function mountDisk(dir: string, sizeMb: number): Promise<void> {
  const [image, point] = [`${dir}/disk.img`, `${dir}/disk`];
  if (mountsUnder(dir).includes(point)) return;
  mkdirSync(point, { recursive: true });
  if (!existsSync(image)) {
    await run(makeDiskArgv(`${image}.new`, point, sizeMb));
    renameSync(`${image}.new`, image);
    rmSync(point, { recursive: true });
    mkdirSync(point);
  }
  await run(['mount', '-o', 'loop,noatime', image, point], {
    fix: 'The kernel must have loop devices (modprobe loop) and ext4',
  });
}

/**
 * The command that makes it. ext4 keeps a share of it for root, as on a Linode; through an overlay everybody may use it. No journal: the host's file system has one, and
 * nothing of this survives the host.
 */
export function makeDiskArgv(image: string, content: string, sizeMb: number): string[] {
  const options = ['-O', '^has_journal', '-E', 'lazy_itable_init=1,nodiscard', '-i', '65536', '-d', content];
  return ['mkfs.ext4', '-q', '-F', ...options, image, `${sizeMb}M`];
}
