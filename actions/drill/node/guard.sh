#!/bin/sh
# The node's own promise to undo a fault, whatever becomes of the runner: a timer, and a start at boot in case of a reboot.
# Usage:
#   guard.sh arm AFTER_MS SCRIPT ARG... [then SCRIPT ARG...]   promise to run them (of this directory) after AFTER_MS; refused when one is armed
#   guard.sh fire SCRIPT ARG... [then SCRIPT ARG...]           undo now, then take the promise back
#   guard.sh settle                       keep a promise that an earlier drill left; prints "settled" or "nothing"
set -eu

here=/var/lib/firedrill/drill
units=/etc/systemd/system
name=firedrill-heal

plain() {
  for word in "$@"; do
    case $word in
      '' | *[!A-Za-z0-9@._-]*) echo "guard.sh: not a plain word: $word" >&2; exit 2 ;;
    esac
  done
}

disarm() {
  [ -e "$units/$name.service" ] || return 0
  systemctl stop "$name.timer" 2> /dev/null || true
  systemctl disable "$name.service" 2> /dev/null || true
  rm -f "$units/$name.timer" "$units/$name.service"
  systemctl daemon-reload
}

action=$1
shift
case $action in
  arm)
    after_ms=$1
    shift
    plain "$after_ms" "$@"
    if [ -e "$units/$name.service" ]; then
      echo "guard.sh: a fault of another drill is still armed on this node" >&2
      exit 3
    fi
    # The service is enabled, not the timer: after a reboot it heals at once.
    cat > "$units/$name.service" << UNIT
[Unit]
Description=Undo the fault of a Firedrill drill
StartLimitIntervalSec=0

[Service]
Type=oneshot
ExecStart=$here/guard.sh fire $*
Restart=on-failure
RestartSec=2

[Install]
WantedBy=multi-user.target
UNIT
    # Without AccuracySec systemd may take a minute more.
    cat > "$units/$name.timer" << UNIT
[Unit]
Description=Undo the fault of a Firedrill drill when nobody else did

[Timer]
OnActiveSec=${after_ms}ms
AccuracySec=100ms
Unit=$name.service
UNIT
    systemctl daemon-reload
    systemctl --quiet enable "$name.service" 2> /dev/null
    sync -f "$units"
    systemctl start "$name.timer"
    ;;
  fire)
    plain "$@"
    # One that fails does not keep the others from being undone; the promise stands until all are.
    failed=0 call=''
    for word in "$@" 'then'; do
      if [ "$word" = 'then' ]; then
        # shellcheck disable=SC2086 # plain words, told apart by spaces
        "$here"/$call || failed=$?
        call=''
      else
        call="$call${call:+ }$word"
      fi
    done
    [ "$failed" -eq 0 ] || exit "$failed"
    disarm
    ;;
  settle)
    if [ -e "$units/$name.service" ]; then
      systemctl start "$name.service"
      echo settled
    else
      echo nothing
    fi
    ;;
  *)
    echo "guard.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
