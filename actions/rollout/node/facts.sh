#!/bin/sh
# Says what a node has and does: for each fact a line MARK, blank, NAME; what a command printed; an empty line; MARK:EXIT CODE. The first
# line is MARK, which the caller makes up, so that nothing printed can be taken for it. Changes nothing.
# The controller reads the outputs; see facts.ts. Sent on standard input, since a new node has nothing of ours.
#   sh -s -- DIGEST UNITS PACKAGES REDIS_PORT SENTINEL_PORT MASTER_NAME HAPROXY HEALTH_URL SHARED_ADDRESS MARK
# DIGEST is the release that the node should have: what others hold is told, so that the controller can tell the difference. `any` tells
# of all that the node could go back to; `state` tells only which there are. UNITS and PACKAGES are comma lists; `-` leaves a part out.
# A process costs a millisecond, and all nodes of a small fleet are asked again and again: few are started here.
set -eu

state=/var/lib/firedrill
digest=$1 units=$2 packages=$3 redis_port=$4 sentinel_port=$5 master=$6 haproxy=$7 health=$8 shared=$9 mark=${10}

fact() { # NAME COMMAND...; a function in place of the command has a limit of its own
  printf '%s %s\n' "$mark" "$1"
  shift
  if "$@" 2>&1 </dev/null; then code=0; else code=$?; fi
  printf '\n%s:%d\n' "$mark" "$code"
}

# A small file, without a process of its own.
show() {
  while IFS= read -r line; do printf '%s\n' "$line"; done <"$1"
}

# A comma list as words, without a process of its own.
words() {
  list=$1
  IFS=,
  # shellcheck disable=SC2086 # split at the commas
  set -- $list
  unset IFS
  words=$*
}

# Paths of the files of a release.
paths() { awk -F '\t' '$1 == "file" { print $2 }' "$1/manifest"; }

# The files that the current release put there, as they are now.
installed_files() { paths "$state/current" | xargs -r sha256sum; }

running_digests() {
  for file in "$state"/running/*; do
    [ -f "$file" ] || continue
    read -r running_digest <"$file" || continue
    printf '%s %s\n' "${file##*/}" "$running_digest"
  done
}

# Its small files, each a fact `content DIGEST PATH`. What somebody removed there is not known; that is all.
contents() { # DIGEST
  folder=$state/releases/$1/files
  paths "$state/releases/$1" | sed "s|^|$folder|" | xargs -r stat -c '%s %n' 2>/dev/null |
    awk -v mark="$mark" -v digest="$1" -v skip=${#folder} '$1 <= 65536 {
      file = substr($0, length($1) + 2)
      printf "%s content %s %s\n", mark, digest, substr(file, skip + 1)
      while ((getline line <file) > 0) print line
      close(file)
      printf "\n%s:0\n", mark
    }'
}

# What another release than the wanted one holds, so that the controller can tell the difference.
old_release() { # DIGEST
  [ -f "$state/releases/$1/manifest" ] || return 0
  fact "manifest $1" cat "$state/releases/$1/manifest"
  contents "$1"
}

# config_value FILE KEY: sets `value`.
config_value() {
  value=
  while read -r key value; do
    [ "$key" != "$2" ] || return 0
  done <"$1"
  value=
}

redis_info() {
  config_value /etc/redis/firedrill.conf requirepass
  printf 'INFO server\nINFO persistence\nINFO replication\n' | REDISCLI_AUTH=$value timeout 2 redis-cli -p "$redis_port"
}

sentinel_view() {
  config_value /etc/redis/firedrill-sentinel.conf requirepass
  {
    printf 'SENTINEL MASTER %s\nSENTINEL REPLICAS %s\n' "$master" "$master"
    printf 'SENTINEL SENTINELS %s\nSENTINEL CKQUORUM %s\n' "$master" "$master"
  } | REDISCLI_AUTH=$value timeout 2 redis-cli --json -p "$sentinel_port"
}

haproxy_stat() { echo 'show stat' | timeout 2 socat -t 2 - UNIX-CONNECT:/run/haproxy/admin.sock; }

echo "$mark"
if [ "$digest" != - ]; then
  fact time date +%s%3N
  for file in lease pending last bad; do
    [ ! -f "$state/$file" ] || fact "$file" show "$state/$file"
  done
  if [ -d "$state/current/" ]; then
    link=$(readlink "$state/current")
    current=${link##*/}
    fact current echo "$current"
    running=$(running_digests)
    fact running printf '%s\n' "$running"
  fi
fi
if [ "$digest" != - ] && [ "$digest" != state ]; then
  if [ -d "$state/current/" ]; then
    fact files installed_files
    told=" $digest "
    # shellcheck disable=SC2046 # a list of words
    for old in "$current" $([ "$digest" != any ] || awk -F '\t' '$1 == "from" { print $2 }' "$state/last" 2>/dev/null) $running; do
      # Between the digests stand the names of units, of which there is no release.
      case $told in *" $old "*) continue ;; esac
      told="$told$old "
      old_release "$old"
    done
  fi
  words "$packages"
  # shellcheck disable=SC2086,SC2016 # a list of words; dpkg's own variables
  [ "$packages" = - ] || fact packages dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' $words
fi
words "$units"
# shellcheck disable=SC2086 # a list of words
[ "$units" = - ] || fact units timeout 3 systemctl show --timestamp=unix \
  -p Id,ActiveState,SubState,UnitFileState,MainPID,NRestarts,ActiveEnterTimestamp $words
[ "$redis_port" = - ] || fact redis redis_info
[ "$sentinel_port" = - ] || fact sentinel sentinel_view
[ "$haproxy" = - ] || fact haproxy haproxy_stat
# Each load balancer has it on lo, and who holds it on eth2 too.
[ "$shared" = - ] || fact shared ip -o -4 address show to "$shared/32" up
[ "$health" = - ] || fact health curl -sS -m 2 -o /dev/null -w '%{http_code}' "$health"
fact end true
