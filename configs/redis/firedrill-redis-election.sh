# The hand-off's election: whom to promote, and by which Sentinel, with the votes of a majority. The caller has read the settings, opened
# its events and set `died_at`; it has `finish`, which gives up.
# shellcheck shell=sh disable=SC2034,SC2154 # variables of the scripts

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
