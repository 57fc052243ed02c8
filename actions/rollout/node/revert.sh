#!/bin/sh
# Takes a node back to the release that it had. Whoever asks, this is the way back:
#   revert.sh watch         the dead-man: waits for the confirmation, and goes back when its time is over
#   revert.sh settle        goes back at once, if a run that holds this node no longer left an unconfirmed release
#   revert.sh back RECORD   goes back as the record says; the caller holds the node's lock
set -eu
umask 022

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

# A new node has nothing to go back to: its units are stopped rather than left half made.
clear_node() { # UNIT=HOW...
  for each in "$@"; do
    systemctl stop "${each%%=*}" || true
    rm -f "$state/running/${each%%=*}"
  done
  rm -f "$state/current"
  echo 'there was no earlier release on this node; its units are stopped'
}

# A live change and a reload are undone as they were made; a unit that does not take that is restarted.
act_back() { # UNIT HOW
  if act "$1" "$2" || { [ "$2" != restart ] && act "$1" restart; }; then
    note_running "$1" "$from"
  else
    echo "$1 does not $2 with the earlier release either"
  fi
}

go_back() { # RECORD
  from=$(record_value "$1" from) to=$(record_value "$1" to)
  # shellcheck disable=SC2046 # a list of words
  set -- "$1" $(awk -F '\t' '$1 == "unit" { print $2 "=" $3 }' "$1")
  record=$1
  shift
  if [ "$from" = "$to" ]; then
    echo 'the release is the one the node had: there is nothing to go back to'
  elif [ "$from" = - ]; then
    clear_node "$@"
  else
    release=$state/releases/$from leaving=$state/releases/$to
    if [ ! -f "$release/manifest" ]; then
      echo "release $from is not on this node any more; it keeps $to"
      mv -f "$record" "$record.stuck"
      return 1
    fi
    packages=$(restore_packages "$record")
    place_files >/dev/null
    point_current "$from"
    for each in "$@"; do act_back "${each%%=*}" "${each#*=}"; done
    echo "back at release $from$packages"
  fi
  rm -f "$record"
}

is_due() { [ -f "$pending" ] && [ "$(now_ms)" -ge "$(record_value "$pending" deadline)" ]; }

watch() {
  # The record may be confirmed, and be gone, at any moment.
  while deadline=$(record_value "$pending" deadline 2>/dev/null) && [ -n "$deadline" ]; do
    left=$((deadline - $(now_ms)))
    if [ "$left" -gt 0 ]; then
      # In short sleeps: the clock may be set.
      [ "$left" -lt 2000 ] || left=2000
      sleep "$(printf '%d.%03d' $((left / 1000)) $((left % 1000)))"
      continue
    fi
    # Whoever holds it may be confirming, or may be in the middle of the switch.
    exec 9>"$state/lock"
    flock 9
    if is_due; then timed revert go_back "$pending"; fi
    exec 9>&-
  done
}

settle() {
  exec 9>"$state/lock"
  flock -w 3 9 || {
    report settle false 0 'a command of another run works on this node right now'
    return 1
  }
  [ -f "$pending" ] || return 0
  if [ -f "$state/lease" ]; then
    read -r holder _ _ expires _ <"$state/lease"
    if [ "$expires" -gt "$(now_ms)" ]; then
      report settle false 0 "run $holder holds this node and has a release to confirm here"
      return 1
    fi
  fi
  timed settle go_back "$pending"
}

command=$1
shift
case $command in
  watch) watch ;;
  settle) settle ;;
  back) timed revert go_back "$1" ;;
esac
