#!/bin/sh
# Says what a node has and does, one JSON line a fact: {"fact": NAME, "code": EXIT CODE, "out": BASE64 OF ITS OUTPUT}. Changes nothing.
# The controller reads the outputs; see facts.ts. Sent on standard input, since a new node has nothing of ours.
#   sh -s -- DIGEST UNITS PACKAGES REDIS_PORT SENTINEL_PORT MASTER_NAME HAPROXY HEALTH_URL
# DIGEST is the release that the node should have: what others hold is told, so that the controller can tell the difference. `any` tells
# of all that the node could go back to; `state` tells only which there are. UNITS and PACKAGES are comma lists; `-` leaves a part out.
set -eu

state=/var/lib/firedrill
digest=$1 units=$2 packages=$3 redis_port=$4 sentinel_port=$5 master=$6 haproxy=$7 health=$8

fact() { # NAME COMMAND...
  name=$1
  shift
  if out=$(timeout 3 "$@" 2>&1 </dev/null); then code=0; else code=$?; fi
  say "$name" "$code" "$out"
}

# What was said, as a line.
say() { printf '{"fact":"%s","code":%d,"out":"%s"}\n' "$1" "$2" "$(printf '%s' "$3" | base64 -w 0)"; }

# A comma list as words, without a process of its own.
words() {
  list=$1
  IFS=,
  # shellcheck disable=SC2086 # split at the commas
  set -- $list
  unset IFS
  words=$*
}

# The files that the current release put there, as they are now.
installed_files() {
  awk -F '\t' '$1 == "file" { print $2 }' "$state/current/manifest" | xargs -r sha256sum
}

running_digests() {
  for file in "$state"/running/*; do
    [ -f "$file" ] || continue
    read -r running_digest <"$file" || continue
    printf '%s %s\n' "${file##*/}" "$running_digest"
  done
}

current() {
  link=$(readlink "$state/current")
  echo "${link##*/}"
}

# What another release than the wanted one holds, so that the controller can tell the difference.
old_release() {
  [ -f "$state/releases/$1/manifest" ] || return 0
  fact "manifest $1" cat "$state/releases/$1/manifest"
  awk -F '\t' '$1 == "file" { print $2 }' "$state/releases/$1/manifest" | while read -r path; do
    file="$state/releases/$1/files$path"
    # What somebody removed there is not known; that is all.
    size=$(stat -c %s "$file" 2>/dev/null) || continue
    [ "$size" -gt 65536 ] || fact "content $1 $path" cat "$file"
  done
}

redis_info() {
  printf 'INFO server\nINFO persistence\nINFO replication\n' |
    REDISCLI_AUTH=$(awk '$1 == "requirepass" { print $2 }' /etc/redis/firedrill.conf) timeout 2 redis-cli -p "$redis_port"
}

sentinel_view() {
  {
    printf 'SENTINEL MASTER %s\nSENTINEL REPLICAS %s\n' "$master" "$master"
    printf 'SENTINEL SENTINELS %s\nSENTINEL CKQUORUM %s\n' "$master" "$master"
  } | REDISCLI_AUTH=$(awk '$1 == "requirepass" { print $2 }' /etc/redis/firedrill-sentinel.conf) \
    timeout 2 redis-cli --json -p "$sentinel_port"
}

haproxy_stat() { echo 'show stat' | timeout 2 socat -t 2 - UNIX-CONNECT:/run/haproxy/admin.sock; }

# `timeout` runs programs, not functions: what is a function here has its own limit inside.
call() { # NAME FUNCTION
  if out=$("$2" 2>&1); then code=0; else code=$?; fi
  say "$1" "$code" "$out"
}

if [ "$digest" != - ]; then
  fact time date +%s%3N
  for file in lease pending last bad; do
    if [ -f "$state/$file" ] && out=$(cat "$state/$file"); then say "$file" 0 "$out"; fi
  done
  if [ -d "$state/current/" ]; then
    call current current
    call running running_digests
  fi
fi
if [ "$digest" != - ] && [ "$digest" != state ]; then
  if [ -d "$state/current/" ]; then
    call files installed_files
    for old in $({
      current
      running_digests | awk '{ print $2 }'
      [ "$digest" != any ] || awk -F '\t' '$1 == "from" { print $2 }' "$state/last" 2>/dev/null
    } | sort -u); do
      [ "$old" = "$digest" ] || old_release "$old"
    done
  fi
  words "$packages"
  # shellcheck disable=SC2086,SC2016 # a list of words; dpkg's own variables
  [ "$packages" = - ] || fact packages dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' $words
fi
words "$units"
# shellcheck disable=SC2086 # a list of words
[ "$units" = - ] || fact units systemctl show --timestamp=unix \
  -p Id,ActiveState,SubState,UnitFileState,MainPID,NRestarts,ActiveEnterTimestamp $words
[ "$redis_port" = - ] || call redis redis_info
[ "$sentinel_port" = - ] || call sentinel sentinel_view
[ "$haproxy" = - ] || call haproxy haproxy_stat
[ "$health" = - ] || fact health curl -sS -m 2 -o /dev/null -w "%{http_code}" "$health"
echo '{"fact":"end","code":0,"out":""}'
