#!/bin/sh
# firedrill-redis-handover stop|now [SETTINGS]: a replica becomes the primary in this node's stead, and no acknowledged write is lost.
# SENTINEL FAILOVER alone leaves the old primary accepting writes for seconds, all of them lost. So its writes are paused, every replica
# that Sentinel may choose gets what was written, and the moment that one is promoted this node and the others follow it.
# Sentinel takes three ticks of 53 to 100 ms for a promotion. Where a write is acknowledged only when the replicas have it, the pause begins
# with the last of these, when the replica is chosen: were the promotion quicker than the pause, nothing acknowledged would be lost. Else it
# begins, and the replicas have caught up, before Sentinel is asked.
# A failover that is asked for needs nobody to be down: Sentinel may choose a replica that froze a moment ago, for which writes wait no longer
# (c-app/follow.h). So while writes go on every replica has to answer immediately before Sentinel is asked.
# stop: before systemd stops Redis (systemctl stop or restart, reboot, shutdown). Always exits 0: the stop goes on. A replica leaves
# the election instead (firedrill-redis-leave).
# now: for a planned handover. Exits 0 when another node is primary, 1 when this one serves on.
set -eu
umask 027

mode=$1 settings=${2:-/etc/redis/firedrill-redis-fence.conf}
# Set when a replica froze after it was looked at, and all are looked at again.
again=${3:-}
name=handover
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# How long the replicas may take for what was written until the pause (ms): they are linked and kept up a moment ago.
catch_up_ms=500
# So old a replica's answer may be when Sentinel is asked: less than the 50 ms by which sessiond compares silences, for the request takes its
# time too. One that has not answered in `frozen_ms` is frozen.
fresh_ms=40 frozen_ms=500

say() { echo "handover: $*"; }

# shellcheck disable=SC2317,SC2329 # called by the trap
leave() {
  code=$?
  if [ "$paused$asked" != 00 ]; then undo; fi
  close_events
  if [ "$mode" = stop ]; then exit 0; fi
  exit "$code"
}
paused=0 asked=0 to='' paused_at='' caught_up_at=''
trap leave EXIT
trap 'exit 1' HUP INT TERM

# Writes go on where that is safe. Once Sentinel was asked it may still promote a replica, and what this node acknowledged meanwhile
# would be lost: it stays paused until Sentinel has given up. A stop need not wait for that: a stopped Redis acknowledges nothing.
undo() {
  until_ms=$(($(now_ms) + handover_timeout_ms)) late=''
  while [ "$asked" -eq 1 ] && [ "$mode" = now ] && [ "$(now_ms)" -lt "$until_ms" ]; do
    going=$(printf 'SENTINEL MASTER %s\n' "$master" | ask_sentinel "$sentinel") || true
    for each in $others; do
      # First whether it goes on, then who is promoted: the other way round a promotion in between would be overlooked.
      case $(echo ROLE | ask_redis "$each") in
        master*) demote "$own" "$each" >/dev/null && going='' late=$each && break ;;
      esac
    done
    case $going in
      *failover_in_progress* | *rror*)
        tell own "CLIENT PAUSE $handover_timeout_ms WRITE"
        paused_at=${paused_at:-$(now_ms)}
        ;;
      *) break ;;
    esac
    sleep 0.2
  done
  if [ "$asked" -eq 0 ] || [ "$mode" = now ]; then
    echo 'CLIENT UNPAUSE' | ask_redis "$own" >/dev/null || true
    if [ -z "$late" ]; then
      say 'undone: writes go on here'
    else
      promoted_at=$(now_ms)
      say_promoted "$late is primary, later than it should be"
      all_agree "$late" 3 || true
      code=0
    fi
  else
    say 'writes stay paused until Redis has stopped: a replica may still be promoted'
  fi
}

# say_promoted WHAT: that, and how long writes waited until `promoted_at`. The controller reads it.
say_promoted() {
  paused_at=${paused_at:-$promoted_at}
  # Where the promotion came first, the replicas were not seen to have everything; they may have had it.
  caught_up_at=${caught_up_at:-$promoted_at}
  say "$1; writes waited $((promoted_at - paused_at)) ms ($((caught_up_at - paused_at)) for the replicas, $((promoted_at - caught_up_at)) for Sentinel)"
}

give_up() { say "$*" && exit 1; }

# Sets `fit` to the Sentinels that see this node as a primary without fault, and a quorum; one on this node, which may be going down too,
# is the last. And `epoch` to the newest that they know.
find_sentinels() {
  fit='' epoch=-1
  for each in $sentinels; do
    said=$(printf 'SENTINEL CKQUORUM %s\nSENTINEL MASTER %s\n' "$master" "$master" | ask_sentinel "$each" 0.5 | tr '\n' ' ') || true
    case $said in *' flags master '*) ;; *) continue ;; esac
    case $said in OK*" ip ${own%:*} port ${own##*:} "*) ;; *) continue ;; esac
    newest=${said##* config-epoch }
    newest=${newest%% *}
    if [ "$newest" -gt "$epoch" ]; then epoch=$newest; fi
    if [ "${each%:*}" = "${own%:*}" ]; then fit="$fit $each"; else fit="$each $fit"; fi
  done
}

# find_replicas SENTINEL: those that it may choose, by what it knows and by what they say now, for it asks them anew. Each has to be linked,
# or it could be one that gets nothing more.
find_replicas() {
  known=$(printf 'SENTINEL REPLICAS %s\n' "$master" | ask_sentinel "$1" 0.5 | awk '
    NR % 2 { key = $0; if (key == "name") n++; next }
    { is[n, key] = $0 }
    END {
      for (i = 1; i <= n; i++)
        if (is[i, "flags"] !~ /down|disconnected/ && is[i, "slave-priority"] > 0) printf " %s:%s", is[i, "ip"], is[i, "port"]
    }')
  if [ -z "$known" ]; then
    # A replica that has come back gets its priority after 3 s, and Sentinel hears of that within 10; nothing waits for this.
    trouble='Sentinel knows no replica that it could promote'
    [ -n "$again" ] || patience_ms=15000
    return 1
  fi
  replicas=''
  for each in $others; do
    info=$(echo INFO replication | ask_redis "$each" 0.5 | tr '\r\n' '  ') || true
    case " $known :$info" in
      *" $each "* | *slave_priority:[1-9]*) ;;
      *) continue ;;
    esac
    case $info in
      *role:slave*"master_host:${own%:*} "*master_link_status:up*) replicas="$replicas $each" ;;
      *)
        trouble="$each, which Sentinel might choose, is not linked to this node"
        return 1
        ;;
    esac
  done
}

# Sets `sentinel` and `replicas`; or gives up. One that died a moment ago may be chosen until the Sentinels have noticed.
find_all() {
  begun_ms=$(now_ms) patience_ms=3000
  while :; do
    trouble='no Sentinel sees this node as a primary without fault, and a quorum'
    find_sentinels
    for sentinel in $fit; do
      if find_replicas "$sentinel"; then return 0; fi
    done
    [ "$(now_ms)" -lt $((begun_ms + patience_ms)) ] || give_up "$trouble"
    sleep 0.1
  done
}

read_settings "$settings"
case $(echo ROLE | ask_redis "$own" | head -n 1) in
  master) ;;
  slave)
    [ "$mode" = now ] || exec "${0%/*}/firedrill-redis-leave" "$settings"
    say 'this node is a replica'
    exit 0
    ;;
  *) say 'Redis does not answer' && exit 1 ;;
esac
# What ends now does so in order: no hand-off after it.
[ "$mode" = now ] || : >"$state/stopping"
find_all

# The replicas are watched only from here on: on a machine that has no time left, what they said would pile up before it is read.
pause_writes() {
  paused=1 paused_at=$(now_ms)
  tell own "CLIENT PAUSE $handover_timeout_ms WRITE
ROLE"
  for each in $behind; do watch "$each"; done
}

pause_first() {
  stage=catch-up
  pause_writes
  say_after "$(seconds "$catch_up_ms")" 'late catch-up'
}

ask_replicas() {
  stage=fresh waiting=$replicas tries=$((tries + 1)) fresh_from=$(now_ms)
  for each in $replicas; do tell "$each" ROLE; done
}

# Nothing has been asked for, and writes go on. By now the Sentinels take the replica for down, or will soon, and another is as good.
look_again() {
  say "$* does not answer any more; looking again"
  trap - EXIT
  close_events
  exec "$0" "$mode" "$settings" again
}

ask_for_promotion() {
  stage=promote asked=1
  tell sentinel "SENTINEL FAILOVER $master"
  # Well before the pause ends by itself, so that nothing is written meanwhile.
  say_after "$(seconds $((handover_timeout_ms * 7 / 10)))" 'late promote'
}

open_events
talk own "$own" "$redis_password"
talk sentinel "$sentinel" "$sentinel_password"
hear "$sentinel" +selected-slave
tell own PING
tell sentinel PING
waiting='own sentinel heard' stage=connect target='' behind=$replicas tries=0
if [ "$handover_pause" = chosen ]; then
  waiting="$waiting $replicas"
  for each in $replicas; do
    talk "$each" "$each" "$redis_password"
    tell "$each" PING
  done
fi
say_after 1 'late connect'

while [ "$stage" != promoted ]; do
  read -r who what more <&3
  case $stage:$who:$what in
    connect:late:connect | fresh:late:fresh)
      # shellcheck disable=SC2086 # a list of words
      set -- $waiting
      case ${1:-own} in own | sentinel | heard) give_up "not in time: $stage (without $*)" ;; esac
      [ -n "$again" ] || look_again "$*"
      pause_first
      ;;
    fresh:*:slave)
      # shellcheck disable=SC2086 # a list of words
      without "$who" $waiting
      waiting=$left
      [ -z "$waiting" ] || continue
      if [ $(($(now_ms) - fresh_from)) -lt "$fresh_ms" ]; then
        ask_for_promotion
      elif [ "$tries" -lt 3 ]; then
        ask_replicas
      else
        pause_first
      fi
      ;;
    fresh:*:master) give_up "$who was promoted without this node's doing" ;;
    "$stage:late:$stage") give_up "not in time: $stage (without$behind)" ;;
    *:gone:*) watch "$what" ;;
    promote:is:*) if [ "$more" = primary ]; then to=$what stage=promoted; fi ;;
    promote:heard:slave)
      more=${more%% *}
      # It may have come into the election only now.
      if [ "$paused" -eq 0 ]; then
        behind=" $more"
        pause_writes
      else case "$replicas " in *" $more "*) ;; *) watch "$more" ;; esac fi
      ;;
    promote:sentinel:NOGOODSLAVE*)
      asked=0
      give_up "Sentinel refuses: $what $more"
      ;;
    # An attempt of somebody else's is as good.
    promote:sentinel:INPROG*) [ "$paused" -eq 1 ] || pause_writes ;;
    promote:*) ;;
    *:is:*) [ "$more" != primary ] || give_up "$what was promoted without this node's doing" ;;
  esac
  if [ "$stage" = connect ]; then
    # shellcheck disable=SC2086 # a list of words
    without "$who" $waiting
    waiting=$left
    if [ -n "$waiting" ]; then
      continue
    elif [ "$handover_pause" = chosen ]; then
      ask_replicas
      say_after "$(seconds "$frozen_ms")" 'late fresh'
    else
      pause_first
    fi
  elif [ "$paused" -eq 1 ] && [ -n "$behind" ]; then
    # The second line of ROLE's answer, after `master`.
    case $who:$target in
      own:) if [ "$what" = master ]; then target=-; fi ;;
      own:-) target=$what ;;
      is:[0-9]*)
        # shellcheck disable=SC2086 # a list of words
        if [ "$more" != primary ] && [ "$more" -ge "$target" ]; then without "$what" $behind && behind=$left; fi
        ;;
    esac
    [ -z "$behind" ] || continue
    caught_up_at=$(now_ms)
    if [ "$stage" = catch-up ]; then ask_for_promotion; fi
  fi
done

promoted_at=$(now_ms)
tell own "REPLICAOF ${to%:*} ${to##*:}
CLIENT UNPAUSE
CONFIG REWRITE"
# A replica that may be promoted is one that writes wait for, and this one is about to stop. The Sentinels meet it as a replica only now,
# so they know from the first. sessiond counts a replica that has kept up for a second whatever its priority, but for one that is not
# announced; a WAIT that counts this one when it stops would take wait-ms. The next start has both again as they should be.
if [ "$mode" = stop ]; then tell own 'CONFIG SET replica-announced no replica-priority 0'; fi
# Sentinel does this too, some 0.8 s later; until then the new primary has one replica less to acknowledge its writes.
demotions=''
for each in $others; do
  [ "$each" = "$to" ] || demote "$each" "$to" >/dev/null &
  demotions="$demotions $!"
done
paused=0 asked=0
say_promoted "$to is primary"
# Until the Sentinels know, this node is not to come back as the primary that they still name.
echo "$epoch" >"$state/handed"
# shellcheck disable=SC2086 # a list of words
wait $demotions || true
if ! all_agree "$to" 3; then say 'the Sentinels do not all know yet'; fi
case $(echo ROLE | ask_redis "$own" | head -n 1) in
  slave) ;;
  # Whatever went wrong with the long-lived connection: this one must not go on as a primary.
  *) demote "$own" "$to" ;;
esac
