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
# How long a hand-off may take, which has chosen another primary and says so when it has ended (s).
handoff=8
name=fence locked=0
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"

# shellcheck disable=SC2317,SC2329 # called by the trap
leave() {
  code=$?
  [ "$code" -eq 0 ] || echo "fence: failed ($code); Redis starts as redis.conf says"
  # From here on a hand-off has to reckon with a Redis that is starting.
  if [ -d "${state:-}" ]; then : >"$state/passed" || true; fi
  close_events
  if [ "$locked" -eq 1 ]; then flock -u 9 || true; fi
  exit 0
}
trap leave EXIT
trap 'exit 1' HUP INT TERM

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

# Asks all at once. Sets `answers` to what came within the time, and `count` to how many those are.
ask_all() {
  answers='' count=0 heard=0 away=0 failing=0
  for each in $sentinels; do (ask "${each%:*}" "${each##*:}") >&3 2>/dev/null 9>&- & done
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

# A Redis that can't read its append-only file never starts again. A short write to a full disk is enough: what Redis takes back of it
# can leave a hole (a file that was begun at run time is not opened with O_APPEND). A replica gets all from its primary, so it starts
# without, and the file is kept beside.
set_aside() {
  log=$(sed -nE 's/^dir "?([^"]*)"?$/\1/p' "$config" | tail -n 1)/appendonlydir
  [ -e "$log/appendonly.aof.manifest" ] || return 0
  code=0
  timeout 60 redis-check-aof "$log/appendonly.aof.manifest" >/dev/null 2>&1 || code=$?
  [ "$code" -eq 1 ] || return 0
  rm -rf "$log.broken"
  mv "$log" "$log.broken"
  echo "fence: Redis can't read its append-only file, which is now $log.broken; this replica copies all from $primary"
}

read_settings "$settings"
timeout=$(seconds "$fence_timeout_ms")
own="${own%:*} ${own##*:}"
REDISCLI_AUTH=$sentinel_password
export REDISCLI_AUTH
# A primary that died is handed off unless it comes back before that is due (handoff_after_ms): exactly one of both happens. The
# hand-off says by taking `died` away that it has the lock; if it does not come at all, Redis does.
tries=0
while [ -e "$state/died" ] && [ "$(now_ms)" -ge $(($(cat "$state/died" 2>/dev/null || echo 0) + handoff_after_ms)) ] && [ "$tries" -lt 50 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
exec 9>"$state/lock"
if flock -w "$handoff" 9; then locked=1; fi
open_events
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
elif [ -e "$state/handed" ] && [ "$newest_epoch" -le "$(cat "$state/handed")" ]; then
  echo "fence: this node handed over to $before, and the Sentinels do not know yet; Redis starts as a replica"
elif [ "$says" -ge "$quorum" ]; then
  follow
  rm -f "$state/handed"
  echo "fence: this node is the primary ($told); redis.conf said replica of $before"
else
  # As a replica it does no harm meanwhile.
  echo "fence: this node may be the primary ($told); Redis starts as redis.conf says (replica of $before)"
fi
if [ -e "$state/refused" ]; then
  rm -f "$state/refused"
  if [ "$says" -ge "$quorum" ] && [ "$primary" != "$own" ]; then set_aside; fi
fi
