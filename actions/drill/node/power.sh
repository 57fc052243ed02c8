#!/bin/sh
# Takes the machine down.
# Usage: power.sh off|reboot|heal
#   off     at once: no service is stopped, no handover, no sync, no goodbye; whoever wants it back boots it from outside
#   reboot  in order, as a kernel update does
#   heal    nothing is left to do on a machine that is up again
# Prints "now NANOSECONDS" and "done NANOSECONDS": it happens between the two, some milliseconds after the answer has left.
set -eu

# A machine without power sends nothing more. In a container it would: its kernel lives on, and ends the connections of what dies.
mute='table inet firedrill_drill_off { chain out { type filter hook output priority -300; policy drop; } }'

# down RULES PROGRAM ARG...: puts the rules in force, if there are any, and runs it, as soon as the answer has left.
down() {
  now=$(date +%s%N)
  echo "now $now"
  echo "done $((now + 40000000))"
  # shellcheck disable=SC2016 # the inner shell's
  setsid sh -c 'sleep 0.03; [ -z "$1" ] || nft "$1" || true; shift; exec "$@"' sh "$@" < /dev/null > /dev/null 2>&1 &
}

case $1 in
  off) down "$mute" systemctl poweroff --force --force ;;
  reboot) down '' systemctl reboot ;;
  heal) ;;
  *)
    echo "power.sh: unknown action: $1" >&2
    exit 2
    ;;
esac
