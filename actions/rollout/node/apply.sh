#!/bin/sh
# Brings a release onto this node. Reports JSON lines {phase, ok, ms, detail}; exit code 0 when all went well.
#   apply.sh RUN stage  DIGEST GENERATION LEASE_MS WHO           install what is missing, stage, validate; nothing that runs changes
#   apply.sh RUN switch DIGEST GENERATION LEASE_MS WHO ACTIVE_MS UNIT=HOW...
#                       files in place, HOW is restart, reload, live; the units stay active for ACTIVE_MS, or everything goes back
#   apply.sh RUN renew  GENERATION LEASE_MS WHO                  the lease holds on
#   apply.sh RUN finish                                          give the lease back, remove what is old
set -eu
umask 022
# A lost connection must not stop half-way what was begun.
trap '' HUP PIPE

here=$(dirname "$0")
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"
# shellcheck source=actions/rollout/node/lease.sh
. "$here/lease.sh"

run=$1 command=$2
shift 2
incoming=$state/incoming/$run
mkdir -p "$state/releases" "$state/running" "$state/seeded"
# What we keep holds passwords.
chmod 700 "$state"

exec 9>"$state/lock"
# Renewing takes no time: so whoever waits longer meets a command of another run.
if ! flock -w 3 9; then
  report lease false 0 'a command of another run works on this node right now'
  exit 1
fi

# A command that was killed while it upgraded packages left it there; whoever did so would hold the lock.
if is_policy_ours; then rm -f "$policy"; fi

# The five newest releases are kept; what is current or what a unit still runs with is always among them.
prune() {
  keep=$(
    basename "$(readlink "$state/current")"
    cat "$state"/running/*
  )
  find "$state/releases" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' | sort -rn | tail -n +6 |
    while read -r _ name; do
      case "$keep" in *"$name"*) ;; *) rm -rf "$state/releases/$name" ;; esac
    done
}

case $command in
  stage)
    if ! take_lease "$run" "$2" "$3" "$4"; then
      rm -rf "$incoming"
      exit 1
    fi
    sh "$here/stage.sh" "$incoming" "$1"
    ;;
  switch)
    digest=$1
    take_lease "$run" "$2" "$3" "$4"
    shift 4
    sh "$here/switch.sh" "$incoming" "$digest" "$@"
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
