#!/bin/sh
# firedrill-redis-fence [SETTINGS]: the fenced start. Before Redis starts, the Sentinels are asked who is primary, and redis.conf is
# made to say the same: after a failover the old primary comes back as a replica, not as a second primary that waits to be demoted.
# Without a clear answer redis.conf stays as it is, and min-replicas-to-write keeps a primary that nobody follows from taking writes.
# Whatever happens here, one line says so and Redis starts: the exit code is always 0.
set -eu
umask 027

settings=${1:-/etc/redis/firedrill-redis-fence.conf}
# The Sentinels that have not answered when a majority has get so much longer, in seconds: the leader of a failover knows first.
grace=0.05
answers_pipe='' timers=''

# shellcheck disable=SC2317,SC2329 # called by the trap
leave() {
  code=$?
  [ "$code" -eq 0 ] || echo "fence: failed ($code); Redis starts as redis.conf says"
  # shellcheck disable=SC2086 # a list of words
  if [ -n "$timers" ]; then
    kill $timers 2>/dev/null || true
    wait $timers || true
  fi
  [ -z "$answers_pipe" ] || rm -f "$answers_pipe" || true
  exit 0
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

read_settings() {
  sentinels='' total=0
  while read -r key value port; do
    case $key in
      node) own="$value $port" ;;
      config) config=$value ;;
      master) master=$value ;;
      quorum) quorum=$value ;;
      timeout-ms) timeout=$(printf '%d.%03d' $((value / 1000)) $((value % 1000))) ;;
      password)
        # The environment of redis-cli: a command line is everybody's to read.
        REDISCLI_AUTH=$value
        export REDISCLI_AUTH
        ;;
      sentinel)
        sentinels="$sentinels $value:$port"
        total=$((total + 1))
        ;;
    esac
  done <"$settings"
}

# ask HOST PORT: one line, `EPOCH ADDRESS PORT`, with ` failing` after it while that primary is being failed over, `refused`, `away` (the network may not be up yet) or `silent`.
ask() {
  # GET-MASTER-ADDR-BY-NAME names the promoted node as soon as there is one; MASTER has the configuration's epoch.
  said=$(printf 'SENTINEL GET-MASTER-ADDR-BY-NAME %s\nSENTINEL MASTER %s\n' "$master" "$master" |
    timeout "$timeout" redis-cli -h "$1" -p "$2" 2>&1) || true
  # shellcheck disable=SC2086 # the lines of the answer as words
  set -f -- $said
  case $said in
    *'Connection refused'*) echo refused && return ;;
    *nreachable* | *'No route'* | *'annot assign'*) echo away && return ;;
  esac
  case ${1:-}/${2:-} in
    */ | *[!0-9A-Fa-f.:/]* | */*[!0-9]*) echo silent && return ;;
  esac
  address=$1 port=$2
  failing=''
  while [ $# -gt 1 ]; do
    case $1:$2 in
      flags:*o_down* | flags:*failover_in_progress*) failing=' failing' ;;
      config-epoch:*[!0-9]*) break ;;
      config-epoch:*)
        echo "$2 $address $port$failing"
        return
        ;;
    esac
    shift
  done
  echo silent
}

# say_after SECONDS LINE: then this line is among the answers. No process of it outlives this script, or systemd would warn.
say_after() {
  (
    sleeper=''
    trap 'kill "$sleeper" && wait "$sleeper"' TERM
    sleep "$1" &
    sleeper=$!
    if wait "$sleeper"; then echo "$2" >&3; fi
  ) >/dev/null 2>&1 &
  timers="$timers $!"
}

# Asks all at once. Sets `answers` to what came within the time, and `count` to how many those are.
ask_all() {
  answers='' count=0 heard=0 away=0 failing=0
  for each in $sentinels; do (ask "${each%:*}" "${each##*:}") >&3 2>/dev/null & done
  while [ "$heard" -lt "$total" ]; do
    read -r line <&3
    case $line in *' failing') failing=1 line=${line% failing} ;; esac
    case $line in
      late) break ;;
      enough) [ "$((count * 2))" -le "$total" ] || break ;;
      refused | silent) heard=$((heard + 1)) ;;
      away) heard=$((heard + 1)) away=1 ;;
      *)
        heard=$((heard + 1)) count=$((count + 1))
        answers="$answers$line
"
        if [ "$((count * 2))" -gt "$total" ] && [ "$heard" -lt "$total" ]; then say_after "$grace" enough; fi
        ;;
    esac
  done
}

# Who is primary: as with Sentinel itself, the newest configuration wins; it took a majority of votes to make it. Sets `primary`, and
# `says` to how many say so: 0 when two say otherwise of the same configuration. In plain shell: each program started costs a crash
# restart in place a few milliseconds.
newest() {
  newest_epoch=-1 primary='' says=0 disputed=0
  while read -r epoch address_port; do
    if [ "${epoch:--1}" -gt "$newest_epoch" ]; then
      newest_epoch=$epoch primary=$address_port says=1 disputed=0
    elif [ "${epoch:--1}" -eq "$newest_epoch" ]; then
      says=$((says + 1))
      [ "$primary" = "$address_port" ] || disputed=1
    fi
  done <<END
$answers
END
  if [ "$disputed" -eq 1 ]; then says=0; fi
}

# Whom redis.conf says to follow: its last word counts.
# shellcheck disable=SC2016 # sed's last line
followed() { sed -nE '/^[[:space:]]*(replicaof|slaveof)[[:space:]]+/I{s///;h};${x;p}' "$config"; }

# follow [LINE]: redis.conf with this as its only replicaof, or with none; whole or not at all, owner and mode as they were.
follow() {
  new=$config.fence
  cp -p "$config" "$new"
  {
    sed -E '/^[[:space:]]*(replicaof|slaveof)[[:space:]]/Id' "$config"
    [ -z "${1:-}" ] || printf '%s\n' "$1"
  } >"$new"
  sync "$new"
  mv -f "$new" "$config"
}

read_settings
pipe=${RUNTIME_DIRECTORY:-/tmp}/fence.$$
mkfifo "$pipe"
answers_pipe=$pipe
exec 3<>"$pipe"
say_after "$timeout" late
# A network that is only coming up gets the time there is. So does a failover that has begun: it does not end because this node is back.
unsettled() {
  if [ "$count" -eq 0 ]; then [ "$away" -eq 1 ]; else [ "$failing" -eq 1 ] && [ "$primary" = "$own" ]; fi
}
ask_all
newest
while [ "$line" != late ] && unsettled; do
  sleep 0.1
  ask_all
  newest
done

before=$(followed)
if [ "$count" -lt "$quorum" ]; then
  echo "fence: $count of $total Sentinels answer; Redis starts as redis.conf says (${before:-primary})"
  exit 0
fi
told="$says of $count Sentinels say so"
if [ "$says" -eq 0 ]; then
  echo "fence: the Sentinels disagree; Redis starts as redis.conf says (${before:-primary})"
elif [ "$primary" != "$own" ] && [ "$primary" = "$before" ]; then
  echo "fence: this node is a replica of $primary ($told)"
elif [ "$primary" != "$own" ]; then
  follow "replicaof $primary"
  echo "fence: the primary is $primary ($told); redis.conf said ${before:-primary}, Redis starts as a replica"
elif [ -z "$before" ]; then
  echo "fence: this node is the primary ($told)"
elif [ "$says" -ge "$quorum" ]; then
  follow
  echo "fence: this node is the primary ($told); redis.conf said replica of $before"
else
  # As a replica it does no harm meanwhile.
  echo "fence: this node may be the primary ($told); Redis starts as redis.conf says (replica of $before)"
fi
