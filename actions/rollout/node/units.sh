# What makes a unit use what is on disk. The caller has set `release` (the one that is current now).
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# config_value FILE KEY
config_value() { awk -v key="$2" '$1 == key { print $2; exit }' "$1"; }

# Commands for redis-cli that change what differs between two versions of firedrill.conf: one CONFIG SET, all or nothing.
config_set_command() { # OLD NEW
  awk 'NR == FNR { old[$0] = 1; next }
    /^[a-z]/ && !($0 in old) {
      value = $0; sub(/^[^ ]+ +/, "", value)
      if (value !~ /^"/) value = "\"" value "\""
      line = line " " $1 " " value
    }
    END { if (line != "") print "CONFIG SET" line }' "$1" "$2"
}

# Anything but OK is a refusal, silence and a lost connection too.
live_redis() {
  new=/etc/redis/firedrill.conf
  old=$state/releases/$(cat "$state/running/redis-server")/files$new
  changes=$(config_set_command "$old" "$new") || return 1
  [ -n "$changes" ] || return 0
  # The password that Redis runs with is the old one.
  answer=$(printf '%s\n' "$changes" |
    REDISCLI_AUTH=$(config_value "$old" requirepass) timeout 5 redis-cli -p "$(config_value "$old" port)" 2>&1) || true
  [ "$answer" = OK ] || {
    echo "CONFIG SET: ${answer:-no answer in 5 s}"
    return 1
  }
}

live_sentinel() {
  conf=/etc/redis/firedrill-sentinel.conf
  for _ in $(seq 50); do
    if said=$(REDISCLI_AUTH=$(config_value $conf requirepass) \
      sh "$here/sentinel-set.sh" /etc/redis/firedrill-sentinel.set -p "$(config_value $conf port)"); then return 0; fi
    sleep 0.1
  done
  echo "$said"
  return 1
}

# act UNIT HOW: then the unit runs with this release, which is noted, so that a run that dies before knows what is still due.
act() {
  case $2 in
    restart)
      systemctl is-enabled --quiet "$1" || systemctl enable --quiet "$1" || return 1
      timeout 90 systemctl restart "$1" || return 1
      if [ "$1" = redis-sentinel ]; then live_sentinel; fi
      ;;
    reload) timeout 30 systemctl reload "$1" ;;
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
  until_ms=$(($(now_ms) + wait_ms))
  first=$(systemctl show -p MainPID,NRestarts "$@")
  while :; do
    for unit in "$@"; do
      unit_state=$(systemctl is-active "$unit") || {
        echo "$unit is $unit_state"
        return 1
      }
    done
    if [ "$(systemctl show -p MainPID,NRestarts "$@")" != "$first" ]; then
      echo "a unit of $* was started again by systemd"
      return 1
    fi
    [ "$(now_ms)" -lt "$until_ms" ] || return 0
    sleep 0.05
  done
}
