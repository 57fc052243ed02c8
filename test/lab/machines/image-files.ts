import { mirrorAddress } from './lab.ts';

/** One change to a fresh root: a text, a symbolic link, or nothing at that place. */
export type ImageFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly link: string }
  | { readonly path: string; readonly absent: true };

/** Timers of the distribution that would take apt's lock or the CPU in the middle of a drill's measurement. */
const quiet = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer', 'systemd-tmpfiles-clean.timer'];

const cloudConfig = `# The lab's machines: the user data is in the seed on the disk, and the network is there when the machine starts.
datasource_list: [NoCloud, None]
network: {config: disabled}
apt: {preserve_sources_list: true}
ssh_genkeytypes: [ed25519]
`;

// Nobody signs the lab's mirror: its index is made of entries of Debian's own, whose signature apt verified when the mirror was
// made, and its network has no way in. The machine's apt still checks each package against the index.
const sources = `deb [trusted=yes] http://${mirrorAddress.host}:${mirrorAddress.port} ./\n`;

/** What makes a plain root the lab's image. */
export const imageFiles: readonly ImageFile[] = [
  { path: 'etc/apt/sources.list', text: sources },
  // Whether recommended packages are wanted is the rollout's choice, so the build's choice must not stay.
  { path: 'etc/apt/apt.conf.d/99mmdebstrap', text: 'Acquire::Languages "none";\n' },
  { path: 'etc/cloud/cloud.cfg.d/99-lab.cfg', text: cloudConfig },
  { path: 'etc/default/locale', text: 'LANG=C.UTF-8\n' },
  // Each machine's own, made at its first boot.
  { path: 'etc/machine-id', text: '' },
  { path: 'etc/hostname', text: 'localhost\n' },
  { path: 'etc/ssh/ssh_host_ecdsa_key', absent: true },
  { path: 'etc/ssh/ssh_host_ecdsa_key.pub', absent: true },
  { path: 'etc/ssh/ssh_host_ed25519_key', absent: true },
  { path: 'etc/ssh/ssh_host_ed25519_key.pub', absent: true },
  { path: 'etc/ssh/ssh_host_rsa_key', absent: true },
  { path: 'etc/ssh/ssh_host_rsa_key.pub', absent: true },
  // The build host's name servers; the lab has none.
  { path: 'etc/resolv.conf', text: '' },
  // The journal outlives a reboot, as on Linode.
  { path: 'var/log/journal/.keep', text: '' },
  ...quiet.map((unit) => ({ path: `etc/systemd/system/${unit}`, link: '/dev/null' })),
  // Newer than /usr: systemd skips what it would do after an update (ldconfig, the journal's catalogue).
  { path: 'etc/.updated', text: '' },
  { path: 'var/.updated', text: '' },
];
