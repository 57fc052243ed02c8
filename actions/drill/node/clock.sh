#!/bin/sh
# Makes the clock jump that one service sees. The machine's own clock is never set.
# Usage: clock.sh ready|jump|heal UNIT
#   ready  starts it again with libfaketime between it and the system's clock, which shows the right time still
#   jump   from now on it sees a time that is five minutes later
#   heal   starts it again without; from whatever state, safe to repeat
# A fault prints "now NANOSECONDS" right before it takes effect and "done NANOSECONDS" when the service must have seen it.
set -eu

action=$1
unit=$2
case $unit in
  '' | *[!a-z0-9@.-]*) echo "clock.sh: not a unit name: $unit" >&2; exit 2 ;;
esac

# /run: a reboot heals too.
dropin="/run/systemd/system/$unit.service.d/zzz-firedrill-clock.conf"
offset=/run/firedrill-drill-clock

case $action in
  ready)
    library=$(dpkg --listfiles libfaketime | grep '/libfaketimeMT\.so\.1$') || {
      echo 'clock.sh: the package libfaketime is not installed' >&2
      exit 3
    }
    echo +0 > "$offset"
    chmod 644 "$offset"
    mkdir -p "${dropin%/*}"
    # It reads the file again after a second; what measures durations stays true.
    cat > "$dropin" << UNIT
[Service]
Environment=LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$offset FAKETIME_CACHE_DURATION=1 FAKETIME_DONT_FAKE_MONOTONIC=1
UNIT
    systemctl daemon-reload
    systemctl restart "$unit"
    ;;
  jump)
    echo "now $(date +%s%N)"
    echo +300 > "$offset"
    echo "done $(($(date +%s%N) + 1000000000))"
    echo 'by libfaketime, simulated for this process alone'
    ;;
  heal)
    [ -e "$dropin" ] || exit 0
    rm -f "$dropin" "$offset"
    rmdir "${dropin%/*}" 2> /dev/null || true
    systemctl daemon-reload
    systemctl restart "$unit"
    ;;
  *)
    echo "clock.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
