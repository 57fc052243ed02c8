#!/bin/sh
# firedrill-sentinel-margin [FOLDER]: Sentinel promotes no replica whose link to the primary has been down for longer than this Sentinel has
# seen the primary down plus ten times down-after (Redis, sentinel.c, sentinelSelectSlave): what such a replica missed nobody knows. But when
# no majority could act while the primary died (all were restarted, or cut off), both times grow at the same pace, and it refuses for ever.
# Then this Sentinel's down-after is widened, as far as that takes and never beyond the silence of the primary, so that the primary still
# counts as down; and is put back when there is a primary again. Every Sentinel does so for itself; the election stays Sentinel's own.
# Only while every replica answers: then the one with the highest offset has all that any of them has. A replica that does not answer might
# have more. So might one of priority 0: Sentinel may not promote it, its offset is higher, or says nothing as it was restarted after the
# primary was gone. Then a person decides (configs/prometheus/runbooks/RedisPrimaryDown.md).
set -eu
folder=${1:-/etc/redis}
every_s=1

value_of() { awk -v key="$1" '$1 == key { print $2; exit }' "$folder/firedrill-sentinel.conf"; }

port=$(value_of port)
REDISCLI_AUTH=$(value_of requirepass)
export REDISCLI_AUTH

ask() { timeout 1 redis-cli -p "$port" 2>/dev/null; }

# Of SENTINEL MASTER and SENTINEL REPLICAS: the down-after that would do, or nothing. Or why it is to be put back: `well`, nothing is wrong
# with the primary; `unsure`, this script widened it (`widened`), and a replica has ceased to answer since.
# A replica's link time is in whole seconds, and -1000 of one that has had no link since it was started.
judge() {
  awk -v usual="$down_after_ms" -v widened="$widened" '
    { sub(/\r$/, "") }
    NR % 2 { key = $0; if (key == "name") n++; next }
    { is[n, key] = $0 }
    END {
      if (n == 0) exit
      if (is[1, "flags"] !~ /s_down/) { if (is[1, "down-after-milliseconds"] != usual) print "well"; exit }
      if (is[1, "flags"] ~ /failover_in_progress/) exit
      margin = is[1, "s-down-time"] + 10 * is[1, "down-after-milliseconds"]
      for (i = 2; i <= n; i++) {
        if (is[i, "flags"] ~ /down|disconnected/ || is[i, "info-refresh"] > 5000) {
          if (is[1, "down-after-milliseconds"] == widened) print "unsure"
          exit
        }
      }
      for (i = 2; i <= n; i++) {
        if (is[i, "slave-priority"] == 0) continue
        if (is[i, "master-link-down-time"] <= margin) exit
        if (!best || is[i, "slave-repl-offset"] > is[best, "slave-repl-offset"]) best = i
      }
      if (!best) exit
      for (i = 2; i <= n; i++)
        if (is[i, "slave-priority"] == 0 && (is[i, "master-link-down-time"] < 0 || is[i, "slave-repl-offset"] > is[best, "slave-repl-offset"])) exit
      # Two seconds more than there are: both times go on.
      wanted = int((is[best, "master-link-down-time"] - is[1, "s-down-time"]) / 10) + 2000
      if (wanted < is[1, "last-ok-ping-reply"] - 1000) print wanted
    }'
}

set_down_after() {
  [ "$(echo "SENTINEL SET $master down-after-milliseconds $1" | ask)" = OK ] || return 1
  echo "margin: down-after is $1 ms: $2"
}

widened=''
while :; do
  sleep "$every_s"
  # The master's name and its down-after (ms), as they are meant to be. A rollout changes them while this runs.
  # shellcheck disable=SC2046 # words
  set -- $(awk '$2 == "down-after-milliseconds" { print $1, $3 }' "$folder/firedrill-sentinel.set")
  master=$1 down_after_ms=$2
  wanted=$(printf 'SENTINEL MASTER %s\nSENTINEL REPLICAS %s\n' "$master" "$master" | ask | judge)
  case $wanted in
    '') ;;
    well) if set_down_after "$down_after_ms" 'the primary is well'; then widened=''; fi ;;
    unsure) if set_down_after "$down_after_ms" 'a replica has ceased to answer'; then widened=''; fi ;;
    *) if set_down_after "$wanted" 'no replica could be promoted, and all of them answer'; then widened=$wanted; fi ;;
  esac
done
