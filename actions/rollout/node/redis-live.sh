# Settings of firedrill.conf in a Redis that runs. The caller has set `release` and `leaving`.
# shellcheck shell=sh disable=SC2154 # state is lib.sh's; release and leaving the caller's

redis_conf=/etc/redis/redis.conf
firedrill_conf=/etc/redis/firedrill.conf

# config_value FILE KEY
config_value() { awk -v key="$2" '$1 == key { print $2; exit }' "$1"; }

# The versions of firedrill.conf that Redis may have read: the one it is noted to run with, and the one that we leave.
former_confs() {
  for former in "$state/releases/$(cat "$state/running/redis-server" 2>/dev/null)" "$leaving"; do
    [ "$former" = "$release" ] || [ ! -f "$former/files$firedrill_conf" ] || echo "$former/files$firedrill_conf"
  done | sort -u
}

# changed_words NEW OLD...: ` DIRECTIVE "VALUE"` for each line of NEW that one of the OLD does not have.
changed_words() {
  wanted=$1
  shift
  awk -v olds=$# 'FNR == 1 { file++ } file <= olds { has[file, $0] = 1; next }
    /^[a-z]/ {
      for (i = 1; i <= olds && ((i, $0) in has); i++);
      if (i > olds) next
      value = $0; sub(/^[^ ]+ +/, "", value)
      if (value !~ /^"/) value = "\"" value "\""
      printf " %s %s", $1, value
    }' "$@" "$wanted"
}

# gone_directives NEW OLD...: the names that an OLD has and NEW has not.
gone_directives() {
  wanted=$1
  shift
  awk 'NR == FNR { if ($0 ~ /^[a-z]/) kept[$1] = 1; next } /^[a-z]/ && !($1 in kept) && !told[$1]++ { print $1 }' "$wanted" "$@"
}

# default_words DIRECTIVE...: ` DIRECTIVE "VALUE"` as a Redis without any configuration has it. Fails for what it does not know.
default_words() {
  [ $# -gt 0 ] || return 0
  scratch=$(mktemp -d)
  (cd "$scratch" && exec redis-server --port 0 --unixsocket "$scratch/socket" >"$scratch/log" 2>&1) &
  bare=$!
  for _ in $(seq 100); do
    [ "$(timeout 2 redis-cli -s "$scratch/socket" PING 2>/dev/null)" != PONG ] || break
    kill -0 "$bare" 2>/dev/null || break
    sleep 0.02
  done
  for name in "$@"; do
    timeout 2 redis-cli -s "$scratch/socket" CONFIG GET "$name" >"$scratch/answer" </dev/null || true
    if [ "$(head -n 1 "$scratch/answer")" = "$name" ]; then
      printf ' %s "%s"' "$name" "$(sed -n 2p "$scratch/answer")"
    else
      echo "$name" >>"$scratch/unknown"
    fi
  done
  kill -9 "$bare" 2>/dev/null || true
  wait "$bare" 2>/dev/null || true
  unknown=$(cat "$scratch/unknown" 2>/dev/null || true)
  rm -rf "$scratch"
  [ -z "$unknown" ] || {
    echo "Redis has no default for $unknown"
    return 1
  }
}

# One CONFIG SET, all or nothing; CONFIG REWRITE, so that redis.conf says the same. Anything but two OK is a refusal, silence too.
live_redis() {
  confs=$(former_confs)
  [ -n "$confs" ] || {
    [ "$leaving" = "$release" ] || echo 'what Redis runs with is not known any more'
    [ "$leaving" = "$release" ]
    return
  }
  # shellcheck disable=SC2086 # a list of words
  changes=$(changed_words "$firedrill_conf" $confs) || return 1
  # shellcheck disable=SC2046,SC2086 # lists of words
  defaults=$(default_words $(gone_directives "$firedrill_conf" $confs)) || {
    echo "$defaults"
    return 1
  }
  [ -n "$changes$defaults" ] || return 0
  # The password and the port that Redis runs with are those of one or the other.
  for conf in $confs "$firedrill_conf"; do
    answer=$(printf 'CONFIG SET%s%s\nCONFIG REWRITE\n' "$changes" "$defaults" |
      REDISCLI_AUTH=$(config_value "$conf" requirepass) timeout 5 redis-cli -p "$(config_value "$conf" port)" 2>&1) || true
    [ "$answer" != "$(printf 'OK\nOK')" ] || return 0
    case $answer in *NOAUTH* | *WRONGPASS* | *'Connection refused'*) ;; *) break ;; esac
  done
  echo "CONFIG SET: ${answer:-no answer in 5 s}"
  return 1
}

# What firedrill.conf does not set any more would live on in redis.conf, where CONFIG REWRITE saved it. Redis owns that file while it runs.
restart_redis() {
  confs=$(former_confs)
  # shellcheck disable=SC2086 # a list of words
  gone=$([ -z "$confs" ] || gone_directives "$firedrill_conf" $confs)
  if [ -z "$gone" ] || [ ! -f "$redis_conf" ]; then
    timeout 90 systemctl restart redis-server
    return
  fi
  timeout 60 systemctl stop redis-server || return 1
  awk -v gone="$gone" 'BEGIN { split(gone, names, "\n"); for (i in names) drop[names[i]] = 1 } !($1 in drop)' \
    "$redis_conf" >"$redis_conf.firedrill"
  put "$redis_conf.firedrill" "$redis_conf" "$(stat -c '%a' "$redis_conf")" "$(stat -c %U "$redis_conf")" "$(stat -c %G "$redis_conf")"
  rm -f "$redis_conf.firedrill"
  timeout 60 systemctl start redis-server
}
