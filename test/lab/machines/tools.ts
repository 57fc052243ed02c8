import { existsSync } from 'node:fs';

export interface Missing {
  readonly what: string;
  readonly fix: string;
  /** The package that brings it on Debian and Ubuntu. */
  readonly package?: string;
}

/** Programs and files of the host that the lab needs, and the packages that hold them. */
const needed = [
  { tool: 'systemd-nspawn', package: 'systemd-container' },
  { tool: 'mmdebstrap', package: 'mmdebstrap' },
  { tool: 'ip', package: 'iproute2' },
  { tool: 'nft', package: 'nftables' },
  { tool: 'nsenter', package: 'util-linux' },
  { tool: 'flock', package: 'util-linux' },
  { tool: 'mount', package: 'mount' },
  { tool: 'mkfs.ext4', package: 'e2fsprogs' },
  { file: '/usr/share/keyrings/debian-archive-keyring.gpg', package: 'debian-archive-keyring' },
] as const;

/** The needed tools and files that are not there. */
export function missingTools(exists: (path: string) => boolean = existsSync): Missing[] {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
  return needed.flatMap((each) => {
    const there = 'tool' in each ? folders.some((folder) => exists(`${folder}/${each.tool}`)) : exists(each.file);
    const what = 'tool' in each ? each.tool : each.file;
    return there ? [] : [{ what, package: each.package, fix: `apt-get install ${each.package}` }];
  });
}
