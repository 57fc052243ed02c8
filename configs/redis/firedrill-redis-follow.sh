#!/bin/sh
# firedrill-redis-follow [SETTINGS]: a node that was cut off, or hung, comes back by itself. Meanwhile the Sentinels may have replaced it,
# or the primary that it follows; Sentinel would tell it, but it waits until it has seen the wrong role for 8 s, and asks every 10 s. Here
# each node asks them whom they name, and follows that one as soon as it can.
# It goes by a newer configuration of which a majority speaks, and only when they named the one that it goes by (itself, for a primary)
# before that: one that was just promoted is primary before any Sentinel says so, and must not step down. Anything else is left to Sentinel.
set -eu

settings=${1:-/etc/redis/firedrill-redis-fence.conf}
name=follow
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# From one question to the next, when all is well and when not, and how long an answer may take (s).
well=2 unwell=0.5 patience=0.5

say() { echo "follow: $*"; }

# goes_by REDIS: whom it takes for the primary, `HOST:PORT`; nothing when it does not answer.
goes_by() {
  asked=$1
  # shellcheck disable=SC2046 # the lines of the answer as words
  set -f -- $(echo ROLE | ask_redis "$1" "$patience")
  case ${1:-} in
    master) echo "$asked" ;;
    slave) echo "$2:$3" ;;
  esac
}

# word_of SENTINEL: `EPOCH HOST:PORT`, the primary that it names and since which configuration; nothing when it does not answer.
word_of() {
  printf 'SENTINEL GET-MASTER-ADDR-BY-NAME %s\nSENTINEL MASTER %s\n' "$master" "$master" | ask_sentinel "$1" "$patience" | awk '
    NR == 1 { host = $0 }
    NR == 2 { port = $0 }
    key == "config-epoch" && /^[0-9]+$/ { print $0, host ":" port }
    { key = $0 }' || true
}

# A majority says the same at this moment.
most_say() {
  words=$(for each in $sentinels; do word_of "$each" & done)
  saying=$(printf '%s\n' "$words" | grep -cxF "$1") || true
  [ $((saying * 2)) -gt "$total" ]
}

# over_to PRIMARY: this node follows it, at its next start too. One that was primary may be promoted again when it has caught up.
over_to() {
  if [ "$mine" = "$own" ]; then
    echo 'CONFIG SET replica-priority 0' | ask_redis "$own" >/dev/null || return 0
    demote "$own" "$1" >/dev/null || true
    "${0%/*}/firedrill-redis-rejoin" "$settings" &
  else
    demote "$own" "$1" >/dev/null || return 0
  fi
  say "the Sentinels have replaced $mine by $1 meanwhile; this node follows it"
}

read_settings "$settings"
agreed='' agreed_epoch='' newest=0 pause=$unwell
while :; do
  sleep "$pause"
  pause=$unwell
  mine=$(goes_by "$own")
  [ -n "$mine" ] || continue
  [ "$agreed" = "$mine" ] || agreed=''
  # The next one each time: one that is down, or cut off itself, does not keep us from hearing of the others.
  # shellcheck disable=SC2086 # a list of words
  set -- $sentinels
  sentinel=$1
  shift
  sentinels="$* $sentinel"
  word=$(word_of "$sentinel")
  epoch=${word% *} named=${word#* }
  # What is older than what was heard is nobody's word any more.
  if [ -z "$word" ] || [ "$epoch" -lt "$newest" ]; then continue; fi
  newest=$epoch
  if [ "$named" = "$mine" ]; then
    agreed=$mine agreed_epoch=$epoch pause=$well
  elif [ -n "$agreed" ] && [ "$epoch" -gt "$agreed_epoch" ] && most_say "$word"; then
    [ "$(goes_by "$named")" != "$named" ] || over_to "$named"
  fi
done
