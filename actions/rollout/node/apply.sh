#!/bin/sh
# Brings a release onto this node. Reports JSON lines {phase, ok, ms, detail}; exit code 0 when all went well.
#   apply.sh RUN stage  DIGEST GENERATION LEASE_MS WHO      install what is missing, stage, validate; nothing that runs changes
#   apply.sh RUN switch DIGEST GENERATION LEASE_MS WHO NONCE CONFIRM_MS ACTIVE_MS EXPECTED UNIT=HOW...
#                       the node goes back unless all of it works and is confirmed; HOW is restart, reload, live. See switch.sh
#   apply.sh RUN confirm NONCE                              the release stays
#   apply.sh RUN revert GENERATION LEASE_MS WHO WHY         back to what the node had before this run; WHY marks the release bad, - does not
#   apply.sh RUN handover GENERATION LEASE_MS WHO          the primary on this node hands over to a replica
#   apply.sh RUN renew  GENERATION LEASE_MS WHO             the lease holds on
#   apply.sh RUN finish                                     give the lease back, remove what is old
set -eu
umask 022
# A lost connection must not stop half-way what was begun.
trap '' HUP PIPE

here=${0%/*}
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"
# shellcheck source=actions/rollout/node/lease.sh
. "$here/lease.sh"
# shellcheck source=actions/rollout/node/deadman.sh
. "$here/deadman.sh"

run=$1 command=$2
shift 2
incoming=$state/incoming/$run
if [ ! -d "$state/seeded" ]; then
  mkdir -p "$state"
  # What we keep holds passwords.
  chmod 700 "$state"
  mkdir -p "$state/releases" "$state/running" "$state/seeded"
fi

exec 9>"$state/lock"
# Renewing takes no time: so whoever waits longer meets a command of another run.
if ! flock -w 3 9; then
  report lease false 0 'a command of another run works on this node right now'
  exit 1
fi

# A command that was killed while it upgraded packages left it there; whoever did so would hold the lock.
if is_policy_ours; then rm -f "$policy"; fi

# The five newest releases are kept; what is current, what a unit still runs with and what one could go back to are always among them.
prune() {
  keep=$(
    basename "$(readlink "$state/current")"
    cat "$state"/running/*
    if [ -f "$pending" ]; then record_value "$pending" from; fi
    if [ -f "$last" ]; then record_value "$last" from; fi
  )
  find "$state/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' | sort -rn | tail -n +6 |
    while read -r _ name; do
      case "$keep" in *"$name"*) ;; *) rm -rf "$state/releases/$name" ;; esac
    done
}

# What this run made of the node, confirmed or not, is undone. The journal first: the units' last words are the evidence.
revert() { # WHY
  for record in "$pending" "$last"; do
    if [ ! -f "$record" ] || [ "$(record_value "$record" run)" != "$run" ]; then continue; fi
    to=$(record_value "$record" to)
    if [ "$1" != - ]; then
      # shellcheck disable=SC2046 # a list of words
      report journal true 0 "$(journal_tail $(awk -F '\t' '$1 == "unit" { print $2 }' "$state/releases/$to/manifest"))"
      case $(record_value "$record" from) in - | "$to") ;; *) note_bad "$to" "$run" "$1" ;; esac
    fi
    sh "$here/revert.sh" back "$record"
    return 0
  done
  report revert true 0 'the node had gone back by itself, or had not been changed'
}

case $command in
  stage)
    if ! take_lease "$run" "$2" "$3" "$4"; then
      rm -rf "$incoming"
      exit 1
    fi
    install_deadman
    sh "$here/stage.sh" "$incoming" "$1"
    ;;
  switch)
    digest=$1 generation=$2
    take_lease "$run" "$2" "$3" "$4"
    nonce=$5 confirm_ms=$6 active_ms=$7 expected=$8
    shift 8
    sh "$here/switch.sh" "$incoming" "$digest" "$active_ms" "$run" "$generation" "$nonce" "$confirm_ms" "$expected" "$@"
    ;;
  confirm) timed confirm confirm "$run" "$1" ;;
  revert)
    take_lease "$run" "$1" "$2" "$3"
    revert "$4"
    ;;
  handover)
    take_lease "$run" "$1" "$2" "$3"
    # As the drop-in of redis-server.service calls it.
    timed handover setpriv --reuid=redis --regid=redis --clear-groups --no-new-privs --bounding-set=-all \
      /usr/local/sbin/firedrill-redis-handover now
    ;;
  renew) take_lease "$run" "$1" "$2" "$3" ;;
  finish)
    drop_lease "$run"
    rm -rf "$incoming"
    if [ -d "$state/current/" ]; then prune; fi
    # Bundles of runs that died.
    find "$state/incoming" -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} +
    ;;
esac
