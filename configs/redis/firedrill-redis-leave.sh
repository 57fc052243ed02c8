#!/bin/sh
# firedrill-redis-leave [SETTINGS]: a replica leaves the election before it is stopped. A write waits for each replica that may be
# promoted, and without this it would wait for one that is gone until the Sentinels have noticed the silence. Exits 0, whatever
# happens: the stop goes on.
set -eu

settings=${1:-/etc/redis/firedrill-redis-fence.conf}
name=leave
# shellcheck source=configs/redis/firedrill-redis-lib.sh
. "${0%/*}/../lib/firedrill-redis-lib.sh"
# sessiond asks the Sentinels and the replicas once a second.
heard_s=1.2

say() { echo "leave: $*"; }

# may_choose SENTINEL: `yes` when it may promote this node, `no` when not; nothing when it does not answer.
may_choose() {
  printf 'SENTINEL MYID\nSENTINEL REPLICAS %s\n' "$master" | ask_sentinel "$1" 0.5 | awk -v own="$own" '
    NR == 1 { answers = length($0) == 40; next }
    NR % 2 == 0 { key = $0; next }
    key == "ip" { ip = $0 }
    key == "port" { here = ip ":" $0 == own }
    here && key == "flags" { down = /s_down/ }
    here && key == "slave-priority" { listed = $0 > 0 && !down }
    END { if (answers) print listed ? "yes" : "no" }' || true
}

read_settings "$settings"
[ "$leave_timeout_ms" -gt 0 ] || exit 0
# The priority is for the Sentinels, which hear of it within 10 s. That it is not announced any more is for sessiond, which gives a replica
# that keeps up its priority back, and counts it. The next start has both again as they should be.
[ "$(echo 'CONFIG SET replica-announced no replica-priority 0' | ask_redis "$own")" = OK ] || exit 0
begun_ms=$(now_ms)
while :; do
  said=$(for each in $sentinels; do may_choose "$each" & done)
  knowing=$(printf '%s\n' "$said" | grep -cx no) || true
  case $said in *yes*) ;; *) [ $((knowing * 2)) -le "$total" ] || break ;; esac
  if [ "$(now_ms)" -ge $((begun_ms + leave_timeout_ms)) ]; then
    say 'not all Sentinels know that this replica is about to stop; writes may wait for it'
    exit 0
  fi
  sleep 0.2
done
sleep "$heard_s"
say "no Sentinel would promote this replica any more, after $(($(now_ms) - begun_ms)) ms; it may stop"
