#!/bin/sh
# Stops the whole machine for a while, as a hypervisor's pause does, as far as that goes from inside: no process runs any more, and the
# kernel still confirms packets.
# Usage: freeze.sh freeze FOR_MS | freeze.sh heal
#   freeze  every process for so long, but the one that thaws them; refused where control groups have no freezer
#   heal    thaws all, from whatever state; safe to repeat
# Prints "now NANOSECONDS" and "done NANOSECONDS": it happens between the two, some milliseconds after the answer has left.
set -eu

top=$(findmnt -n -t cgroup2 -o TARGET | head -n 1)
own=$top/firedrill-thaw

# Where nothing is frozen yet: `top`, `own`. Only the shell's own commands, so it waits for no disk. $1: 1 freezes, 0 thaws
# shellcheck disable=SC2016 # for both shells
switch='switch() {
  for group in "$top"/*/cgroup.freeze; do
    [ "$group" = "$own/cgroup.freeze" ] || echo "$1" > "$group"
  done
}'

refuse() {
  echo "freeze.sh: $*" >&2
  exit 3
}

case $1 in
  freeze)
    case $2 in
      '' | *[!0-9]*) refuse "not a number: $2" ;;
    esac
    set -- "$2" "$top"/*/cgroup.freeze
    if [ -z "$top" ] || [ ! -e "$2" ]; then refuse 'control groups have no freezer here'; fi
    # Who is in this group goes on: this shell, and what it starts.
    { mkdir -p "$own" && echo $$ > "$own/cgroup.procs"; } || refuse "can't leave the groups that are frozen"
    now=$(date +%s%N)
    echo "now $now"
    echo "done $((now + 40000000))"
    # The second sleep begins before anything is frozen: its end can't fail to come. So does the trap.
    # shellcheck disable=SC2016 # the inner shell's
    setsid sh -c "$switch"'
      top=$1 own=$2
      trap "switch 0; exit" TERM HUP
      sleep 0.03
      sleep "$3" &
      switch 1
      wait
      switch 0
    ' sh "$top" "$own" "$(printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)))" < /dev/null > /dev/null 2>&1 &
    ;;
  heal)
    [ -n "$top" ] || exit 0
    eval "$switch"
    # Who thaws would freeze first, if it has not begun.
    if [ -e "$own" ]; then echo 1 > "$own/cgroup.kill"; fi
    switch 0 2> /dev/null || true
    # It is empty as soon as who was killed is gone.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
      [ -e "$own" ] || break
      rmdir "$own" 2> /dev/null || sleep 0.05
    done
    ;;
  *)
    echo "freeze.sh: unknown action: $1" >&2
    exit 2
    ;;
esac
