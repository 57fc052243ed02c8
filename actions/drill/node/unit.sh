#!/bin/sh
# Breaks a systemd unit, and heals it again.
# Usage: unit.sh keep-down|stop|restart|kill|crash|hang|heal UNIT | unit.sh pause UNIT FOR_MS
#   keep-down  systemd may not start it again when it ends; breaks nothing yet, and makes a later kill quick
#   stop   an orderly stop; it stays down
#   restart  an orderly stop and a start
#   kill   kill -9, and systemd may not start it again; it stays down
#   crash  kill -9; systemd does what the unit says
#   hang   SIGSTOP: connections stay open and nothing answers
#   pause  SIGSTOP for so long: when it goes on, its clock seems to have jumped
#   heal   undoes any of these, from whatever state; safe to repeat
# A fault prints "now NANOSECONDS" right before it takes effect and "done NANOSECONDS" right after.
set -eu

action=$1
unit=$2
case $unit in
  '' | *[!a-z0-9@.-]*) echo "unit.sh: not a unit name: $unit" >&2; exit 2 ;;
esac

# Its name sorts after every other drop-in's, so it is the last word on Restart=. /run: a reboot heals too.
dropin="/run/systemd/system/$unit.service.d/zzz-firedrill-drill.conf"

main_pid() {
  pid=$(systemctl show --property MainPID --value "$unit")
  if [ "$pid" -le 1 ]; then
    echo "unit.sh: $unit has no main process" >&2
    exit 1
  fi
}

keep_down() {
  [ ! -e "$dropin" ] || return 0
  mkdir -p "${dropin%/*}"
  printf '[Service]\nRestart=no\n' > "$dropin"
  systemctl daemon-reload
}

# The unit's process with its children: HAProxy's master serves nobody itself.
family() { pids="$pid $(pgrep -P "$pid" | tr '\n' ' ')"; }

# The shell's own kill: nothing lies between the line and the signal but the line.
signal() {
  echo "now $(date +%s%N)"
  # shellcheck disable=SC2086 # a list of numbers
  kill -s "$1" ${pids:-$pid}
  echo "done $(date +%s%N)"
}

case $action in
  stop)
    main_pid
    echo "now $(date +%s%N)"
    systemctl --no-block stop "$unit"
    echo "done $(date +%s%N)"
    ;;
  restart)
    main_pid
    echo "now $(date +%s%N)"
    systemctl --no-block restart "$unit"
    echo "done $(date +%s%N)"
    ;;
  keep-down)
    keep_down
    ;;
  kill)
    keep_down
    main_pid
    signal KILL
    ;;
  crash)
    main_pid
    signal KILL
    ;;
  hang)
    main_pid
    family
    signal STOP
    ;;
  pause)
    case $3 in
      '' | *[!0-9]*) echo "unit.sh: not a number: $3" >&2; exit 2 ;;
    esac
    main_pid
    signal STOP
    setsid sh -c "sleep $(($3 / 1000)).$(printf '%03d' $(($3 % 1000))); exec kill -s CONT $pid" < /dev/null > /dev/null 2>&1 &
    ;;
  heal)
    if [ -e "$dropin" ]; then
      rm -f "$dropin"
      rmdir "${dropin%/*}" 2> /dev/null || true
      systemctl daemon-reload
    fi
    pid=$(systemctl show --property MainPID --value "$unit")
    if [ "$pid" -gt 1 ]; then
      family
      # shellcheck disable=SC2086 # a list of numbers
      kill -s CONT $pids 2> /dev/null || true
    fi
    systemctl reset-failed "$unit" 2> /dev/null || true
    systemctl start "$unit"
    ;;
  *)
    echo "unit.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
