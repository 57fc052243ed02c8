#!/bin/sh
# A failover under load, with real Redis and Sentinels on loopback: three of each, sessiond, and four writers.
#   test/failover.sh BUILD-DIR [ROUNDS]
# Every round takes a fresh deployment and one fault: kill -9 of the primary, SIGSTOP of it, a planned failover, kill -9
# and a restart in place (the same primary again, and no failover), or both replicas stopped for four seconds (alone:
# until one is back nothing may be acknowledged).
# It must hold: the service answers writes again without a restart, and every acknowledged write is readable at the end.
# Prints how long that took. FAULTS="kill hang planned" chooses; SESSIOND=path takes another binary; PORT0 the first port; DURABILITY=async.
set -eu

build=$1
rounds=${2:-1}
faults=${FAULTS:-kill hang planned restart alone}
sessiond=${SESSIOND:-$build/sessiond-asan}
port0=${PORT0:-17300}
down_after=${DOWN_AFTER_MS:-1000}
password=integration-secret
dir=$(mktemp -d)
pids=

for tool in redis-server redis-sentinel redis-cli curl; do
  command -v $tool >/dev/null || { echo "skipped: $tool is not installed (test-deps.txt)" >&2; exit 77; }
done

http_port=$((port0 + 80))

# Only what this script started, by process id.
stop_all() {
  for pid in $pids; do
    kill -CONT "$pid" 2>/dev/null || true
    kill -KILL "$pid" 2>/dev/null || true
  done
  for pid in $pids; do wait "$pid" 2>/dev/null || true; done
  pids=
}
cleanup() {
  stop_all
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

redis() { # redis INDEX ARGS...
  redis_port=$((port0 + $1))
  shift
  redis-cli -h 127.0.0.1 -p $redis_port --no-auth-warning -a $password "$@"
}
sentinel() { # sentinel INDEX ARGS...
  sentinel_port=$((port0 + 10 + $1))
  shift
  redis-cli -h 127.0.0.1 -p $sentinel_port --no-auth-warning -a $password "$@"
}

# until SECONDS "what" command...: polls the command every 50 ms until it succeeds.
until_true() {
  tries=$(($1 * 20))
  what=$2
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "not in time: $what" >&2; tail -n 20 "$dir"/*.log >&2; exit 1; }
    sleep 0.05
  done
}
linked() { [ "$(redis "$1" info replication | grep -c "state=online")" -eq 2 ]; }
agreed() { sentinel "$1" sentinel ckquorum mymaster | grep -q '^OK 3' && [ "$(sentinel "$1" sentinel replicas mymaster | grep -c '^name')" -eq 2 ]; }
ready() { curl -sf "http://127.0.0.1:$http_port/readyz"; }

start_redis() {
  redis-server "$dir/redis$1/redis.conf" >>"$dir/redis$1.log" 2>&1 &
  eval "redis_pid$1=$!"
  pids="$pids $!"
}

start_deployment() {
  for i in 0 1 2; do
    mkdir -p "$dir/redis$i" "$dir/sentinel$i"
    cat >"$dir/redis$i/redis.conf" <<END
port $((port0 + i))
bind 127.0.0.1
dir $dir/redis$i
requirepass $password
masterauth $password
appendonly yes
repl-diskless-sync-delay 0
min-replicas-to-write 1
min-replicas-max-lag 2
save ""
END
    [ $i -eq 0 ] || echo "replicaof 127.0.0.1 $port0" >>"$dir/redis$i/redis.conf"
    start_redis $i
  done
  until_true 20 "replicas linked" linked 0
  for i in 0 1 2; do
    cat >"$dir/sentinel$i/sentinel.conf" <<END
port $((port0 + 10 + i))
bind 127.0.0.1
dir $dir/sentinel$i
requirepass $password
sentinel sentinel-pass $password
sentinel monitor mymaster 127.0.0.1 $port0 2
sentinel auth-pass mymaster $password
sentinel down-after-milliseconds mymaster $down_after
sentinel failover-timeout mymaster 6000
sentinel parallel-syncs mymaster 2
END
    redis-sentinel "$dir/sentinel$i/sentinel.conf" >"$dir/sentinel$i.log" 2>&1 &
    pids="$pids $!"
  done
  for i in 0 1 2; do until_true 20 "Sentinels agreed" agreed $i; done
  cat >"$dir/sessiond.conf" <<END
listen = 127.0.0.1
sentinels = 127.0.0.1:$((port0 + 10)), 127.0.0.1:$((port0 + 11)), 127.0.0.1:$((port0 + 12))
sentinel-password = $password
redis-password = $password
durability = ${DURABILITY:-replicated}
END
  "$sessiond" --config "$dir/sessiond.conf" --port $http_port 2>"$dir/sessiond.log" &
  sessiond_pid=$!
  pids="$pids $!"
  until_true 10 "sessiond ready" ready
}

one_round() { # one_round FAULT
  start_deployment
  writers=
  for w in 1 2 3 4; do
    "$build/probe" run $http_port 8 "$dir/ledger$w" &
    writers="$writers $!"
  done
  pids="$pids $writers"
  sleep 1
  at=$(date +%s%3N)
  failovers=1
  at_least=0
  # shellcheck disable=SC2154 # set by eval above
  case $1 in
    kill) kill -KILL "$redis_pid0" ;;
    hang) kill -STOP "$redis_pid0" ;;
    restart)
      kill -KILL "$redis_pid0"
      sleep 0.1
      start_redis 0
      failovers=0
      ;;
    alone)
      # shellcheck disable=SC2154
      kill -STOP "$redis_pid1" "$redis_pid2"
      sleep 4
      kill -CONT "$redis_pid1" "$redis_pid2"
      failovers=0
      at_least=4000
      ;;
    planned) sentinel 0 sentinel failover mymaster >/dev/null ;;
  esac
  for w in $writers; do wait "$w"; done
  cat "$dir"/ledger? >"$dir/ledger"
  printf '%s: ' "$1"
  "$build/probe" stall "$dir/ledger" "$at" $at_least
  [ "$1" != hang ] || kill -CONT "$redis_pid0"
  printf '%s: ' "$1"
  "$build/probe" verify $http_port "$dir/ledger"
  curl -sf "http://127.0.0.1:$http_port/metrics" | grep -q "^sessiond_failovers_total $failovers\$" || { echo "expected $failovers failovers" >&2; exit 1; }
  kill -0 "$sessiond_pid"
  kill -TERM "$sessiond_pid"
  wait "$sessiond_pid" || { echo "sessiond ended with an error:" >&2; cat "$dir/sessiond.log" >&2; exit 1; }
  [ -z "${VERBOSE:-}" ] || cat "$dir/sessiond.log"
  stop_all
  rm -rf "${dir:?}"/*
}

round=0
while [ $round -lt "$rounds" ]; do
  for fault in $faults; do one_round "$fault"; done
  round=$((round + 1))
done
echo "ok"
