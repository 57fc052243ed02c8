#!/bin/sh
# firedrill-redis-handoff died|crash [SETTINGS]: when a primary's process dies and is not ready again soon, its own node has a replica
# promoted at once, without waiting for the Sentinels to notice the silence.
# died: after Redis ended, however; notes when, if this was a primary that nobody stopped.
# crash: the hand-off. It and a start of Redis in place exclude each other (fence): exactly one of them happens. Nor is there a second
# failover beside it: it asks the Sentinels for their votes, as their own elections do, and does nothing without a majority.
set -eu
umask 027

mode=$1 settings=${2:-/etc/redis/firedrill-redis-fence.conf}
name=handoff
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# When there is no promotion in this time the Sentinels are left to themselves, and Redis may start again (s).
deadline=4

say() { echo "hand-off: $*"; }

read_settings "$settings"
if [ "$mode" = died ]; then
  # `passed`: a process of Redis is there or about to be.
  rm -f "$state/passed" "$state/died"
  if [ -e "$state/stopping" ]; then
    rm -f "$state/stopping"
  elif [ -z "$(followed)" ]; then
    now_ms >"$state/died"
  fi
  exit 0
fi

[ -e "$state/died" ] || exit 0
died_at=$(cat "$state/died")

# shellcheck disable=SC2317,SC2329 # called by the trap
leave() {
  code=$?
  close_events
  if [ "$locked" -eq 1 ]; then flock -u 9 || true; fi
  [ "$code" -eq 0 ] || say "failed ($code); the Sentinels are left to themselves"
  exit 0
}
locked=0
trap leave EXIT
trap 'exit 1' HUP INT TERM

finish() {
  say "$*"
  exit 0
}

# Everything about the fleet that the choice needs, one line each:
#   redis HOST:PORT OFFSET PRIORITY LINK              a replica of this node that may be promoted
#   sentinel HOST:PORT ID EPOCH                       one that takes this node for the primary and has a quorum
#   sees SENTINEL HOST:PORT PRIORITY INFO_AGE FLAGS   what it knows of a replica, and how old that is (ms)
#   busy HOST:PORT                                    one that is replacing the primary already
# Programs are started sparingly here: this node is in trouble, and each takes its milliseconds.
look() {
  looked_at=$(now_ms) asked=''
  for each in $others; do
    ask_redis "$each" 0.3 >"$folder/redis-$each" <<END &
INFO replication
END
    asked="$asked $!"
  done
  for each in $sentinels; do
    ask_sentinel "$each" 0.3 >"$folder/sentinel-$each" <<END &
SENTINEL MYID
SENTINEL CKQUORUM $master
SENTINEL MASTER $master
SENTINEL REPLICAS $master
END
    asked="$asked $!"
  done
  # shellcheck disable=SC2086 # a list of words
  wait $asked || true
  seen=$(awk -v own="$own" '
    function redis_end() {
      if (info["role"] == "slave" && info["master_host"] ":" info["master_port"] == own && info["slave_priority"] > 0)
        print "redis", at, info["slave_repl_offset"], info["slave_priority"], info["master_link_status"]
    }
    function sentinel_end(i) {
      if (is[1, "ip"] ":" is[1, "port"] != own) return
      if (is[1, "flags"] ~ /failover_in_progress/) print "busy", at
      else if (quorum) print "sentinel", at, id, is[1, "config-epoch"]
      for (i = 2; i <= n; i++)
        print "sees", at, is[i, "ip"] ":" is[i, "port"], is[i, "slave-priority"], is[i, "info-refresh"], is[i, "flags"]
    }
    function end() { if (kind == "redis") redis_end(); else if (kind == "sentinel") sentinel_end() }
    FNR == 1 {
      end()
      kind = at = FILENAME
      sub(/.*\//, "", kind); sub(/-.*/, "", kind); sub(/.*-/, "", at)
      split("", info); split("", is); id = quorum = n = 0
    }
    { sub(/\r$/, "") }
    kind == "redis" { colon = index($0, ":"); info[substr($0, 1, colon - 1)] = substr($0, colon + 1); next }
    FNR == 1 { id = $0; next }
    FNR == 2 { quorum = /^OK/; next }
    FNR % 2 { key = $0; if (key == "name") n++; next }
    { is[n, key] = $0 }
    END { end() }' "$folder"/redis-* "$folder"/sentinel-*)
}

# Which Sentinels would choose a replica that has as much as any, one `SENTINEL ID EPOCH` a line. Sentinel goes by what INFO told it, and
# asks again at the beginning of a failover unless that is less than a second old: so it must be older than that, or newer than the death;
# unless all replicas have the same. What will be asked again counts as it is now, a priority too: that of a replica that has just come
# back Sentinel may hear 10 s later. The first line is the first such replica, `HOST:PORT at OFFSET`.
# shellcheck disable=SC2016 # awk's
choose() {
  awk -v since_death=$((looked_at - died_at)) -v since_look=$(($(now_ms) - looked_at)) '
    $1 == "redis" { offset[$2] = $3; if (count++ && $3 != most) differ = 1; if (best == "" || $3 > most) { best = $2; most = $3 } }
    $1 == "sentinel" { line[$2] = $2 " " $3 " " $4 }
    $1 == "sees" && $6 !~ /down|disconnected/ { up[$2] = up[$2] " " $3; priority[$2, $3] = $4; age[$2, $3] = $5 }
    END {
      if (best == "") exit
      print best, "at", most
      for (s in line) {
        good = bad = 0
        split(up[s], list, " ")
        for (i in list) {
          r = list[i]; a = age[s, r]
          again = a + since_look >= 1000
          if (!again && a > since_death - 50 && (differ || !(r in offset))) bad = 1
          if (r in offset && offset[r] == most && (again || priority[s, r] > 0)) good = 1
        }
        delete list
        if (good && !bad) print line[s]
      }
    }'
}

# vote SENTINEL ID EPOCH: asks it to vote for that one. Sets `voted` to the epoch of its newest vote; fails unless it is this one.
vote() {
  voted='' voter=$1 at=0
  tell "$1" "SENTINEL IS-MASTER-DOWN-BY-ADDR ${own%:*} ${own##*:} $3 $2"
  while [ "$at" -lt 3 ]; do
    read -r who what more <&3
    case $who:$at:$what in
      "$voter:0:"[01] | "$voter:1:"*) voted_for=$what ;;
      "$voter:2:"[0-9]*) voted=$what ;;
      "$voter:"*) return 1 ;;
      late:*) finish 'the Sentinels do not vote in time; they are left to themselves' ;;
      gone:*) watch "$what" && continue ;;
      *) continue ;;
    esac
    at=$((at + 1))
  done
  [ "$voted_for $voted" = "$2 $3" ]
}

# elect SENTINEL ID EPOCH: the majority votes for it in the epoch that its failover will have. A Sentinel gives one vote in an epoch, and
# having given it starts no failover of its own for a while: so nobody else promotes another replica.
elect() {
  try=$(($3 + 1)) votes=1 tries=0
  # Its own epoch first, which only a vote shows; its failover will have the next one.
  while ! vote "$1" "$2" "$try"; do
    [ -n "$voted" ] && [ "$tries" -lt 30 ] || return 1
    if [ "$voted" -gt "$try" ]; then try=$voted; fi
    try=$((try + 1)) tries=$((tries + 1))
  done
  for each in $sentinels; do
    if [ "$each" != "$1" ] && vote "$each" "$2" $((try + 1)); then votes=$((votes + 1)); fi
  done
  [ $((votes * 2)) -gt "$total" ]
}

# The lock is ours, so no start is on its way before its fence. Is one past it? Ready: then there is nothing to do. Still loading: it
# would be a second primary, so it goes, like the one that died; nothing was acknowledged by it.
fence_off() {
  until_ms=$(($(now_ms) + 1000))
  while [ -e "$state/passed" ]; do
    [ "$(now_ms)" -lt "$until_ms" ] || finish 'Redis is starting and says nothing; the Sentinels are left to themselves'
    case $(echo PING | ask_redis "$own" 0.3) in
      PONG) finish "Redis is back in place, $(($(now_ms) - died_at)) ms after its death or sooner" ;;
      LOADING*)
        pid=$(echo INFO server | ask_redis "$own" 0.3 | tr -d '\r' | sed -n 's/^process_id://p')
        case $pid in '' | *[!0-9]*) ;; *)
          say "Redis is still loading; it will start again as a replica"
          kill -9 "$pid" 2>/dev/null || true
          ;;
        esac
        ;;
    esac
    sleep 0.01
  done
}

# While systemd has its time, if it gets any: what is asked later is connected now.
open_events
for each in $sentinels; do talk "$each" "$each" "$sentinel_password"; done
wait_ms=$((died_at + handoff_after_ms - $(now_ms)))
if [ "$wait_ms" -gt 0 ]; then sleep "$(seconds "$wait_ms")"; fi

exec 9>"$state/lock"
flock -w 3 9 || finish 'a start of Redis takes its time; the Sentinels are left to themselves'
locked=1
# A start that came when this was due has waited until here, and waits for the lock now.
rm -f "$state/died"
[ ! -e "$state/passed" ] || [ "$(echo PING | ask_redis "$own" 0.3)" != PONG ] ||
  finish "Redis is back in place, $(($(now_ms) - died_at)) ms after its death or sooner"

sentinel='' busy=0
while :; do
  look
  # One that has not noticed yet may still be reading what this node sent last.
  case $seen in *' up'*) [ "$(now_ms)" -ge $((died_at + handoff_after_ms + 500)) ] || continue ;; esac
  case $seen in *busy*) busy=1 && break ;; esac
  chosen=$(printf '%s\n' "$seen" | choose)
  [ -n "$chosen" ] || finish 'no replica that could be promoted answers; the Sentinels are left to themselves'
  case $seen in *'sentinel '*) ;; *) finish 'no Sentinel takes this node for the primary and has a quorum' ;; esac
  sentinel=${chosen#*
}
  sentinel=${sentinel%%
*}
  [ "$sentinel" = "$chosen" ] || break
  [ "$(now_ms)" -lt $((died_at + handoff_after_ms + 1500)) ] || finish 'no Sentinel would choose the replica that has most'
  sleep 0.03
done
fence_off

epoch=$(printf '%s\n' "$seen" | awk '$1 == "sentinel" && $4 > max { max = $4 } END { print max + 0 }')
replicas=$(printf '%s\n' "$seen" | sed -n 's/^redis \([^ ]*\) .*/\1/p')
for each in $replicas; do watch "$each"; done
if [ "$busy" -eq 0 ]; then
  say_after 0.5 late
  # shellcheck disable=SC2086 # its three words
  elect $sentinel || finish 'the Sentinels are electing somebody themselves'
  asked_at=$(now_ms)
  tell "${sentinel%% *}" "SENTINEL FAILOVER $master"
else
  asked_at=$(now_ms)
fi
say_after "$deadline" later
while :; do
  read -r who what more <&3
  case $who:$what in
    later:*) finish "nobody was promoted in $deadline s; the Sentinels are left to themselves" ;;
    gone:*) watch "$what" ;;
    is:*) [ "$more" != primary ] || break ;;
    *:NOGOODSLAVE | *:ERR | *:Error:) finish "Sentinel refuses: $what $more" ;;
  esac
done
demotions=''
for each in $others; do
  [ "$each" = "$what" ] || demote "$each" "$what" >/dev/null &
  demotions="$demotions $!"
done
at=$(now_ms)
# Until the Sentinels know, this node is not to come back as the primary that they still name.
echo "$epoch" >"$state/handed"
follow "replicaof ${what%:*} ${what##*:}"
best=${chosen:-unknown}
best=${best%%
*}
say "$what is primary, $((at - died_at)) ms after the death of this one ($((at - asked_at)) for Sentinel); most had $best"
# shellcheck disable=SC2086 # a list of words
wait $demotions || true
