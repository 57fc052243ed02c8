#!/bin/sh
# Takes the machine down.
# Usage: power.sh off|reboot|heal
#   off     at once: no service is stopped, no handover, no sync; whoever wants it back boots it from outside
#   reboot  in order, as a kernel update does
#   heal    nothing is left to do on a machine that is up again
# Prints "now NANOSECONDS" and "done NANOSECONDS": it happens between the two, some milliseconds after the answer has left.
set -eu

down() {
  now=$(date +%s%N)
  echo "now $now"
  echo "done $((now + 40000000))"
  setsid sh -c "sleep 0.03; exec systemctl $1" < /dev/null > /dev/null 2>&1 &
}

case $1 in
  off) down 'poweroff --force --force' ;;
  reboot) down reboot ;;
  heal) ;;
  *)
    echo "power.sh: unknown action: $1" >&2
    exit 2
    ;;
esac
