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
  # As when it can't read its data: the next start looks (firedrill-redis-fence). systemd tells, in the environment.
  if [ "${EXIT_CODE:-} ${EXIT_STATUS:-}" = 'exited 1' ]; then : >"$state/refused"; fi
  if [ -e "$state/stopping" ]; then
    rm -f "$state/stopping"
  elif [ -z "$(followed)" ]; then
    now_ms >"$state/died"
  fi
  exit 0
fi

[ -e "$state/died" ] || exit 0
died_at=$(cat "$state/died")
# shellcheck source=configs/redis/firedrill-redis-election.sh
. "${0%/*}/../lib/firedrill-redis-election.sh"

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
