#!/bin/sh
# firedrill-redis-rejoin [SETTINGS]: lets this node into the election when it has earned it. Redis starts with replica-priority 0 (the
# unit's drop-in): a replica that may be promoted is one that sessiond's writes wait for, and one that has just come back would hold them
# up until it has caught up. So has a primary that steps down (firedrill-redis-follow). sessiond does the same by itself; this is for when
# none runs.
set -eu

settings=${1:-/etc/redis/firedrill-redis-fence.conf}
name=rejoin
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# As in firedrill.conf.
priority=100
# So long it keeps up first (ms): longer than sessiond takes to count it again, so that it counts before it may be promoted.
earned_ms=3000
# So long has nobody been there, and Redis was stopped (ms). One that is frozen says nothing, and is waited for.
gone_ms=30000

say() { echo "rejoin: $*"; }

# field NAME, of INFO in `info`
field() {
  value=${info#*"$1:"}
  [ "$value" != "$info" ] || value=''
  value=${value%% *}
}

read_settings "$settings"
answered_at=$(now_ms) since='' target=''
while :; do
  info=" $(echo INFO replication | ask_redis "$own" | tr '\r\n' '  ') "
  now=$(now_ms)
  # It is about to stop (firedrill-redis-leave).
  field replica_announced
  [ "$value" != 0 ] || exit 0
  field role
  case $value in
    '')
      case $info in *[!' ']*) ;; *) answered_at=$now ;; esac
      [ $((now - answered_at)) -lt "$gone_ms" ] || exit 0
      ;;
    master) break ;;
    *)
      answered_at=$now
      # Keeping up is to have what the primary had a moment ago.
      field slave_repl_offset
      if [ -n "$target" ] && [ "$value" -ge "$target" ]; then since=${since:-$now}; else since=''; fi
      field master_link_status
      [ "$value" = up ] || since=''
      [ -z "$since" ] || [ $((now - since)) -lt "$earned_ms" ] || break
      field master_host && host=$value
      field master_port
      info=" $(echo INFO replication | ask_redis "$host:$value" | tr '\r\n' '  ') "
      field master_repl_offset && target=$value
      ;;
  esac
  sleep 0.25
done
# It may be busy with a script: the unit tries again.
[ "$(echo "CONFIG SET replica-priority $priority" | ask_redis "$own")" = OK ]
say "this node may be promoted again"
