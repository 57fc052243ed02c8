# Settings of firedrill-sentinel.set in a Sentinel that runs. The caller has set `release` and `leaving`.
# shellcheck shell=sh disable=SC2154 # here and state are lib.sh's; release and leaving the caller's

sentinel_set=/etc/redis/firedrill-sentinel.set
sentinel_conf=/etc/redis/firedrill-sentinel.conf

# What Sentinel may have been told: by the release that it is noted to run with, and by the one that we leave.
former_sets() {
  for former in "$state/releases/$(cat "$state/running/redis-sentinel" 2>/dev/null)" "$leaving"; do
    [ "$former" = "$release" ] || [ ! -f "$former/files$sentinel_set" ] || echo "$former/files$sentinel_set"
  done | sort -u
}

# gone_settings NEW OLD...: `MASTER OPTION DEFAULT` for what an OLD sets and NEW does not: Sentinel keeps what it was told once.
gone_settings() {
  awk 'BEGIN {
      preset["down-after-milliseconds"] = 30000; preset["failover-timeout"] = 180000
      preset["parallel-syncs"] = 1; preset["master-reboot-down-after-period"] = 0
    }
    /^#/ || NF < 3 { next }
    NR == FNR { kept[$1, $2] = 1; next }
    ($1, $2) in kept || told[$1, $2]++ { next }
    $2 in preset { print $1, $2, preset[$2]; next }
    { print "Sentinel has no default for " $2 ": write the value that it shall have"; failed = 1; exit }
    END { exit failed }' "$@"
}

live_sentinel() {
  # shellcheck disable=SC2046 # a list of words
  gone=$(gone_settings "$sentinel_set" $(former_sets)) || {
    echo "$gone"
    return 1
  }
  wanted=$(mktemp)
  { cat "$sentinel_set" && printf '%s\n' "$gone"; } >"$wanted"
  for _ in $(seq 50); do
    if said=$(REDISCLI_AUTH=$(config_value "$sentinel_conf" requirepass) \
      sh "$here/sentinel-set.sh" "$wanted" -p "$(config_value "$sentinel_conf" port)"); then break; fi
    sleep 0.1
  done
  rm -f "$wanted"
  [ -z "$said" ] || {
    echo "$said"
    return 1
  }
}
