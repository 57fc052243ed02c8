/** The distribution of the nodes, of the lab's machines and of the build root. */
export const suite = 'trixie';

/** What Linode's Debian image holds that matters here. The services are not among it: the rollout installs them. */
export const imagePackages = [
  'ca-certificates',
  'cloud-init',
  'curl',
  'dbus',
  'iproute2',
  'iputils-ping',
  'nftables',
  'openssh-server',
  'procps',
  'sudo',
  'systemd',
  'systemd-sysv',
];

/** What the lab's package mirror offers, with all that it depends on beyond the image. */
export const mirrorPackages = [
  'haproxy',
  'keepalived',
  'libhiredis1.1.0',
  'libllhttp9.2',
  'libmbedcrypto16',
  'libmbedtls21',
  'libmbedx509-7',
  'libuv1t64',
  'prometheus',
  'prometheus-alertmanager',
  'prometheus-blackbox-exporter',
  'prometheus-node-exporter',
  'prometheus-redis-exporter',
  'redis-sentinel',
  'redis-server',
  'redis-tools',
  'socat',
];

/** What every build root holds beside the caller's list. */
export const buildRootPackages = ['ca-certificates', 'git'];

/** Kept out when packages unpack, in the image and on the machines: nobody reads them there, and unpacking is most of an installation's time. */
const excluded = ['doc', 'info', 'locale', 'man'];

/** mmdebstrap's options that every root has. They stay in the root as dpkg's and apt's configuration. */
export const rootOptions = [
  '--mode=root',
  '--format=directory',
  '--variant=minbase',
  // Also on hosts whose apt does not trust Debian by itself (Ubuntu). Any keyring with Debian 12's or 13's keys does.
  '--keyring=/usr/share/keyrings/debian-archive-keyring.gpg',
  '--aptopt=APT::Install-Recommends "false"',
  '--aptopt=Acquire::Languages "none"',
  // A root that a power cut spoils is built again; a machine's disk is as safe as the lab's host.
  '--dpkgopt=force-unsafe-io',
  ...excluded.map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
];

/** The command that makes a root: `hook` is a shell script that runs at the end with the root as $1. */
export function bootstrapArgv(root: string, packages: readonly string[], hook?: string): string[] {
  return [
    'mmdebstrap',
    ...rootOptions,
    ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`]),
    ...(hook === undefined ? [] : [`--customize-hook=${hook}`]),
    suite,
    root,
  ];
}
