/** What systemd-nspawn exits with when the guest asked for a reboot: whoever started it starts it again. */
export const rebootRequested = 133;

// systemd's own signals to PID 1 (SIGRTMIN is 34 with glibc).
const firstRealTimeSignal = 34;
export const powerOffSignal = firstRealTimeSignal + 4;

export interface BootArgs {
  readonly id: string;
  readonly hostname: string;
  readonly root: string;
}

// Nothing of the host comes in: no registration with a machined that may not run, no resolv.conf, no time zone, no journal link.
const plain = ['-q', '--register=no', '--keep-unit', '--resolv-conf=off', '--timezone=off', '--link-journal=no'];

/** What nspawn is told by its environment: /proc/sys/net is the machine's own, since its network is, and may be written as on any machine. */
export const bootEnv = { SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'network' } as const;

/** The command that boots a machine. It runs until the machine powers off, with its console on stdout. */
export function bootArgv(args: BootArgs): string[] {
  return [
    'systemd-nspawn',
    ...plain,
    `--directory=${args.root}`,
    '--boot',
    `--machine=${args.id}`,
    `--hostname=${args.hostname}`,
    `--network-namespace-path=/run/netns/${args.id}`,
    '--capability=CAP_NET_ADMIN,CAP_NET_RAW',
    '--console=read-only',
    // As systemd sets them on a machine, whatever this process has.
    '--rlimit=NOFILE=1024:524288',
    '--rlimit=CORE=0:infinity',
  ];
}

export interface Bind {
  readonly source: string;
  readonly target: string;
  readonly readonly?: boolean;
}

export interface CommandArgs {
  readonly root: string;
  readonly machine: string;
  readonly binds: readonly Bind[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly argv: readonly string[];
  /** A network namespace's path; without it the caller's network. */
  readonly netns?: string;
}

/**
 * The command that runs `argv` in a root that stays as it is: what it writes outside the binds goes to memory and is forgotten.
 * `--read-only` only makes nspawn's lock on the root a shared one, so that two can run at once.
 */
export function commandArgv(args: CommandArgs): string[] {
  return [
    'systemd-nspawn',
    ...plain,
    `--directory=${args.root}`,
    `--machine=${args.machine}`,
    '--as-pid2',
    '--read-only',
    '--volatile=overlay',
    '--pipe',
    ...args.binds.map(bindOption),
    `--chdir=${args.cwd}`,
    ...Object.entries(args.env).map(([name, value]) => `--setenv=${name}=${value}`),
    ...(args.netns === undefined ? [] : [`--network-namespace-path=${args.netns}`]),
    '--',
    ...args.argv,
  ];
}

function bindOption(bind: Bind): string {
  const quote = (path: string): string => path.replace(/[\\:]/g, '\\$&');
  return `--bind${bind.readonly ? '-ro' : ''}=${quote(bind.source)}:${quote(bind.target)}`;
}
