// @ts-check
// Debian's way to install a service without starting it: while /usr/sbin/policy-rc.d says 101 for it, neither invoke-rc.d nor
// deb-systemd-invoke, which the packages' scripts call, starts it.
import { chmodSync, existsSync, lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

export const policyFile = '/usr/sbin/policy-rc.d';
const mark = '# Firedrill';

/**
 * Lets none of these services be started by a package until the returned function is called, which puts everything back. Where that
 * never comes, because this process was killed, the file has no effect from then on, and undoLeftOver removes it.
 * @param {readonly string[]} services
 * @param {string} [file]
 * @returns {() => void}
 */
export function denyStart(services, file = policyFile) {
  undo(file);
  const kept = keptOf(file);
  if (lstatSync(file, { throwIfNoEntry: false }) !== undefined) renameSync(file, kept);
  writeFileSync(file, script(services, kept));
  chmodSync(file, 0o755);
  return () => undo(file);
}

/**
 * Takes away what a run that was killed has left.
 * @param {string} [file]
 */
export function undoLeftOver(file = policyFile) {
  const pid = existsSync(file) ? /^# Firedrill (\d+) /m.exec(readFileSync(file, 'utf8')) : null;
  if (pid !== null && !existsSync(`/proc/${pid[1]}`)) undo(file);
}

/** @param {string} file */
function undo(file) {
  const kept = keptOf(file);
  if (lstatSync(kept, { throwIfNoEntry: false }) !== undefined) renameSync(kept, file);
  else if (existsSync(file) && readFileSync(file, 'utf8').includes(mark)) rmSync(file);
}

/** @param {string} file */
function keptOf(file) {
  return `${file}.firedrill-kept`;
}

/** When this process began, as the kernel counts: with its number it is one process and never another. */
function begun() {
  return readFileSync('/proc/self/stat', 'utf8').replace(/.*\) /s, '').split(' ')[19];
}

/**
 * @param {readonly string[]} services
 * @param {string} kept
 */
function script(services, kept) {
  const names = services.flatMap((each) => [each, `${each}.service`]).join(' | ');
  return `#!/bin/sh
${mark} ${process.pid} installs programs for its tests, and no service. Once it has ended this has no effect, and may be removed.
if grep -qs ' ${begun()} ' /proc/${process.pid}/stat; then
  for word; do
    case $word in ${names}) exit 101 ;; esac
  done
fi
[ ! -x ${kept} ] || exec ${kept} "$@"
# What invoke-rc.d does without this file: nothing starts without an init, nor what is not enabled (its action is in brackets).
[ -e /sbin/init ] || exit 101
case "$*" in *'('*) exit 101 ;; esac
`;
}
