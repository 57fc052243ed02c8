# What makes a unit use what is on disk. The caller has set `release` (the one that is current now)
# and `leaving` (the one it replaces).
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# shellcheck source=actions/rollout/node/redis-live.sh
. "$here/redis-live.sh"
# shellcheck source=actions/rollout/node/sentinel-live.sh
. "$here/sentinel-live.sh"

# A reload gives HAProxy's processes the limits that its master has: it gets the unit's.
reload() {
  if [ "$1" = haproxy ]; then
    prlimit --pid "$(systemctl show -p MainPID --value haproxy)" \
      --nofile="$(systemctl show -p LimitNOFILESoft --value haproxy):$(systemctl show -p LimitNOFILE --value haproxy)" || return 1
  fi
  timeout 30 systemctl reload "$1"
}

# act UNIT HOW: then the unit runs with this release, which is noted, so that a run that dies before knows what is still due.
act() {
  case $2 in
    restart)
      # systemd's own answer takes some milliseconds.
      [ -L "/etc/systemd/system/multi-user.target.wants/$1.service" ] || systemctl is-enabled --quiet "$1" ||
        systemctl enable --quiet "$1" || return 1
      if [ "$1" = redis-server ]; then
        restart_redis
        return
      fi
      timeout 90 systemctl restart "$1" || return 1
      if [ "$1" = redis-sentinel ]; then live_sentinel; fi
      ;;
    reload) reload "$1" ;;
    live)
      case $1 in
        redis-server) live_redis ;;
        redis-sentinel) live_sentinel ;;
        *)
          echo "no settings of $1 can be changed live"
          return 1
          ;;
      esac
      ;;
  esac
}

note_running() { # UNIT DIGEST
  printf '%s\n' "$2" >"$state/running/$1.new"
  mv -f "$state/running/$1.new" "$state/running/$1"
}

# stays_active MS UNIT...: all of them active, with the same process and without a restart in between, for so long.
stays_active() {
  wait_ms=$1
  shift
  [ $# -gt 0 ] || return 0
  read_clock
  until_ms=$((clock + wait_ms))
  first=
  while :; do
    # One question for all of them; prints which processes they are, or who is not active. One that reloads is, as `is-active` has it.
    now=$(systemctl show -p Id,ActiveState,MainPID,NRestarts "$@" | awk -F = -v wanted=$# '
      $1 == "Id" { name = $2; sub(/\.service$/, "", name) }
      $1 == "MainPID" || $1 == "NRestarts" { print }
      $1 != "ActiveState" { next }
      $2 != "active" && $2 != "reloading" && $2 != "refreshing" { sick = name " is " $2; exit }
      { told++ }
      END {
        if (sick == "" && told != wanted) sick = "systemd tells of " told + 0 " units instead of " wanted
        if (sick == "") exit 0
        print sick
        exit 1
      }') || {
      printf '%s\n' "$now" | tail -n 1
      return 1
    }
    if [ "$now" != "${first:=$now}" ]; then
      echo "a unit of $* was started again by systemd"
      return 1
    fi
    read_clock
    left_ms=$((until_ms - clock))
    [ "$left_ms" -gt 0 ] || return 0
    # What was started again in between is told too; the last look is at the end.
    [ "$left_ms" -lt 200 ] || left_ms=200
    sleep "0.$((left_ms / 100))$((left_ms / 10 % 10))"
  done
}
