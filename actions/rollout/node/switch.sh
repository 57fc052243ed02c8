#!/bin/sh
# switch.sh INCOMING DIGEST ACTIVE_MS RUN GENERATION NONCE CONFIRM_MS EXPECTED UNIT=HOW...: the release becomes current, the units use it
# and stay active, or the node goes back to the release it had; and it does so too when nobody confirms within CONFIRM_MS.
# EXPECTED is the release that the plan was made for, `-` for none.
set -eu

here=${0%/*}
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"
# shellcheck source=actions/rollout/node/packages.sh
. "$here/packages.sh"
# shellcheck source=actions/rollout/node/units.sh
. "$here/units.sh"
# shellcheck source=actions/rollout/node/place.sh
. "$here/place.sh"
# shellcheck source=actions/rollout/node/deadman.sh
. "$here/deadman.sh"

incoming=$1 digest=$2 active_ms=$3 run=$4 generation=$5 nonce=$6 confirm_ms=$7 expected=$8
shift 8

# shellcheck disable=SC2317,SC2329 # called by timed
place() {
  if [ -n "$(wanted_packages)" ]; then
    # A release that the node has kept comes without files.
    if [ -d "$incoming/files" ]; then upgrade_packages; else quietly install_available; fi
  fi
  place_files
  place_seeds "$incoming"
  point_current "$digest"
}

apply() {
  timed switch place
  for each in "$@"; do
    timed "${each#*=}" act "${each%=*}" "${each#*=}"
    note_running "${each%=*}" "$digest"
  done
  units=$(manifest unit | cut -f 2)
  # shellcheck disable=SC2086 # a list of words
  timed active stays_active "$active_ms" $units
  for unit in $units; do note_running "$unit" "$digest"; done
}

release=$state/releases/$digest
previous=$(current_digest)
leaving=$state/releases/$previous
[ -n "$previous" ] || leaving=/nonexistent
if [ "${previous:--}" != "$expected" ]; then
  report switch false 0 "this node has release ${previous:--}, and the plan was made for $expected; nothing was changed here. Run again"
  exit 1
fi
versions=$(package_versions)
timed arm arm "$run" "$generation" "$nonce" "$confirm_ms" "${previous:--}" "$digest" "$@"

# What failed, for whoever asks later why this release is refused.
timed_log=$state/failed
rm -f "$timed_log"
set +e
(
  set -e
  apply "$@"
)
code=$?
set -e
if [ "$code" -eq 0 ]; then
  extend "$confirm_ms"
  exit 0
fi
# systemd starts nothing any more, the former release as little as this one: that says nothing of either. The controller takes the code
# for a command that was killed, and the record waits on the disk.
[ "$(systemctl is-system-running 2>/dev/null)" != stopping ] || exit 137
why=$(head -n 1 "$timed_log" 2>/dev/null || true)
# shellcheck disable=SC2046 # a list of words
report journal false 0 "$(journal_tail $(manifest unit | cut -f 2))"
# A new node, and one that was only put right, may try the same again: that harms nobody who is served.
if [ -n "$previous" ] && [ "$previous" != "$digest" ]; then note_bad "$digest" "$run" "$why"; fi
# Where it can't, the dead-man goes on trying.
sh "$here/revert.sh" back "$pending" || true
exit "$code"
