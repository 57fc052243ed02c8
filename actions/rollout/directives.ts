/** Directives that Redis takes only at its start, or that must not change under a running fleet. */
const atStartOnly = new Set([
  'port',
  'daemonize',
  'supervised',
  'pidfile',
  'logfile',
  'databases',
  'unixsocket',
  'unixsocketperm',
  'io-threads',
  'aclfile',
  'appendfilename',
  'appenddirname',
  'tcp-backlog',
  'always-show-logo',
  'cluster-enabled',
  'rdbchecksum',
  'syslog-enabled',
  'dir',
  'dbfilename',
]);

/** What Redis has no default for that CONFIG SET could put back. */
const withoutDefault = new Set(['user', 'rename-command', 'loadmodule', 'include']);

/** Why a change of this file needs a restart, or undefined when all of it can be applied live. Pure. */
export function restartReason(path: string, before: string, after: string): string | undefined {
  // SENTINEL SET takes every option there is.
  if (path.endsWith('.set')) return undefined;
  const old = directives(before);
  const now = directives(after);
  const gone = [...old.keys()].find((key) => !now.has(key) && (atStartOnly.has(key) || withoutDefault.has(key)));
  if (gone !== undefined) return `${gone} is no longer set`;
  const changed = [...now].filter(([key, value]) => old.get(key) !== value).map(([key]) => key);
  const fixed = changed.find((key) => atStartOnly.has(key));
  return fixed === undefined ? undefined : `${fixed} takes effect at start only`;
}

/** Directive to its values; one that stands several times has them all. */
function directives(text: string): Map<string, string> {
  const map = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([a-z][^\s]*)\s+(.*?)\s*$/.exec(line);
    if (match?.[1] === undefined) continue;
    const before = map.get(match[1]);
    map.set(match[1], before === undefined ? (match[2] ?? '') : `${before}\n${match[2]}`);
  }
  return map;
}
