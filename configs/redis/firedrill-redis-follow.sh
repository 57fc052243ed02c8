#!/bin/sh
# firedrill-redis-follow [SETTINGS]: a node that was cut off, or hung, comes back by itself. Meanwhile the Sentinels may have replaced it,
# or the primary that it follows. Sentinel would tell it, but it must have seen a former primary's wrong role for 8 s, and asks every
# 10 s. Here each node asks them whom they name, and follows that one as soon as it can.
# It goes by a newer configuration of which a majority speaks, and only when a majority named the one that it goes by (itself, for a
# primary) before that: one that was just promoted is primary before any Sentinel says so, and must not step down. What it heard it has in
# memory alone. Anything else is left to Sentinel.
set -eu

settings=${1:-/etc/redis/firedrill-redis-fence.conf}
name=follow
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# From one question to the next, when all is well and when not, and how long an answer may take (s).
well=2 unwell=0.5 patience=0.5
# So often all that is heard is older than what was heard before (15 s): then the Sentinels were set up anew.
older_rounds=30

say() { echo "follow: $*"; }

# stands REDIS: whom it takes for the primary, itself when it is one, and the replication ID, another one after each promotion, as
# `HOST:PORT ID`; nothing when it does not answer so.
stands() {
  echo 'INFO replication' | ask_redis "$1" "$patience" | awk -v asked="$1" '
    { sub(/\r$/, ""); colon = index($0, ":"); is[substr($0, 1, colon - 1)] = substr($0, colon + 1) }
    END {
      if (is["role"] == "master") print asked, is["master_replid"]
      if (is["role"] == "slave") print is["master_host"] ":" is["master_port"], is["master_replid"]
    }' || true
}

# word_of SENTINEL: `EPOCH HOST:PORT`, the primary that it names and since which configuration; nothing when it does not answer so. In this
# order: when it changes its mind in between, the one it names now is not taken for older than it is.
word_of() {
  printf 'SENTINEL MASTER %s\nSENTINEL GET-MASTER-ADDR-BY-NAME %s\n' "$master" "$master" | ask_sentinel "$1" "$patience" | awk '
    key == "config-epoch" { epoch = $0 }
    { host = key; key = $0 }
    END { if (epoch ~ /^[0-9]+$/ && key ~ /^[0-9]+$/) print epoch, host ":" key }' || true
}

# most_say WORD: a majority says this at this moment, the epoch too.
most_say() {
  words=$(for each in $sentinels; do word_of "$each" & done)
  saying=$(printf '%s\n' "$words" | grep -cxF "$1") || true
  [ $((saying * 2)) -gt "$total" ]
}

# Back into the election when it has earned it. Started with this script too: a restart of it ends what was under way.
rejoin() { (until "${0%/*}/firedrill-redis-rejoin" "$settings"; do sleep 1; done) & }

# over_to PRIMARY: this node follows it, at its next start too.
over_to() {
  if [ "$mine" = "$own" ]; then echo 'CONFIG SET replica-priority 0' | ask_redis "$own" >/dev/null || true; fi
  case $(demote "$own" "$1") in
    OK*) say "the Sentinels have replaced $mine by $1 meanwhile; this node follows it" ;;
  esac
  # Also when it was not: then it is a primary, which gets its priority back at once.
  if [ "$mine" = "$own" ]; then rejoin; fi
}

read_settings "$settings"
rejoin
agreed='' agreed_epoch='' newest=0 older=0 pause=$unwell
while :; do
  sleep "$pause"
  pause=$unwell
  standing=$(stands "$own")
  mine=${standing% *}
  [ -n "$mine" ] || continue
  [ "$agreed" = "$standing" ] || agreed=''
  # The next one each time: one that is down, or cut off itself, does not keep us from hearing of the others.
  # shellcheck disable=SC2086 # a list of words
  set -- $sentinels
  sentinel=$1
  shift
  sentinels="$* $sentinel"
  word=$(word_of "$sentinel")
  epoch=${word% *} named=${word#* }
  [ -n "$word" ] || continue
  if [ "$epoch" -lt "$newest" ]; then
    # Of one that was cut off itself, or has not heard yet.
    older=$((older + 1))
    if [ "$older" -ge "$older_rounds" ]; then newest=$epoch agreed=''; fi
    continue
  fi
  newest=$epoch older=0
  if [ "$named" = "$mine" ]; then
    if [ -n "$agreed" ] || most_say "$word"; then agreed=$standing agreed_epoch=$epoch pause=$well; fi
  elif [ "$named" != "$own" ] && [ -n "$agreed" ] && [ "$epoch" -gt "$agreed_epoch" ] && most_say "$word"; then
    primary=$(stands "$named")
    # Nothing has happened to this one while the others were asked.
    if [ "${primary% *}" = "$named" ] && [ "$(stands "$own")" = "$standing" ]; then over_to "$named"; fi
  fi
done
