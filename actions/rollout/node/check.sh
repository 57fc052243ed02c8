#!/bin/sh
# check.sh RELEASE SEEDS: every file of the release before its native checker, the whole set in place as it will be. Runs in a mount
# namespace of its own, where the staged files lie over the real folders. Reports the first file that a checker refuses, and fails.
set -eu

here=${0%/*}
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"

release=$1 seeds=$2
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for top in "$release"/files/*/; do
  name=$(basename "$top")
  mount -t overlay firedrill-check -o "ro,lowerdir=$release/files/$name:/$name" "/$name"
done

# own_file PATH: the service's own file, or the seed where the service has none of ours yet.
own_file() {
  if [ -e "$state/seeded$1" ]; then cat "$1"; else cat "$seeds$1"; fi
}

# ask SOCKET COMMAND...: waits up to 5 s for the server behind the socket.
ask() {
  socket=$1
  shift
  for _ in $(seq 100); do
    if timeout 2 redis-cli -s "$socket" "$@" 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  return 1
}

# try_server LOG COMMAND...: starts it, waits for it, runs `then`, ends it. What it said is the output when it does not come up.
try_server() {
  log=$1
  shift
  "$@" >"$log" 2>&1 &
  pid=$!
  for _ in $(seq 100); do
    if ! kill -0 "$pid" 2>/dev/null; then break; fi
    if [ "$(timeout 2 redis-cli -s "$scratch/socket" PING 2>/dev/null)" = PONG ]; then return 0; fi
    sleep 0.02
  done
  kill -9 "$pid" 2>/dev/null || true
  cat "$log"
  return 1
}

# On a socket, in an empty folder, following nobody: it touches no data and nobody sees it.
check_redis() {
  own_file /etc/redis/redis.conf | sed -e '/^user default /d' >"$scratch/redis.conf"
  try_server "$scratch/log" redis-server "$scratch/redis.conf" --include /etc/redis/firedrill.conf --port 0 \
    --unixsocket "$scratch/socket" --requirepass '' --dir "$scratch" --pidfile "$scratch/pid" --supervised no \
    --appendonly no --save '' --replicaof no one
  timeout 2 redis-cli -s "$scratch/socket" SHUTDOWN NOSAVE
}

# The copy watches an address where nobody is and knows no other Sentinel: a second one with this identity must not speak to the fleet.
check_sentinel() {
  own_file /etc/redis/sentinel.conf |
    sed -e '/^user default /d' -e '/^sentinel known-/d' -e 's/^\(sentinel monitor [^ ]*\) [^ ]* [^ ]*/\1 127.0.0.1 1/' >"$scratch/sentinel.conf"
  try_server "$scratch/log" redis-sentinel "$scratch/sentinel.conf" --include /etc/redis/firedrill-sentinel.conf --port 0 \
    --unixsocket "$scratch/socket" --requirepass '' --dir "$scratch" --pidfile "$scratch/pid" --supervised no
  refused=$(sh "$here/sentinel-set.sh" /etc/redis/firedrill-sentinel.set -s "$scratch/socket") || true
  timeout 2 redis-cli -s "$scratch/socket" SHUTDOWN NOSAVE
  if [ -n "$refused" ]; then
    echo "$refused"
    return 1
  fi
}

# unit_of PATH: sets `unit`, and where a new package's unit is still masked has its own file, which is not, found first.
unit_of() {
  unit=${1%.d/*}
  unit=${unit##*/} unit=${unit%.service}
  if [ "$(readlink "/etc/systemd/system/$unit.service")" = /dev/null ]; then
    mkdir -p "$scratch/units"
    cp "/usr/lib/systemd/system/$unit.service" "$scratch/units/"
  fi
}

verify_units() { # UNIT.service...
  SYSTEMD_UNIT_PATH="$scratch/units:" timeout 60 systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1
}

# It exits 0 on an unknown key: whatever it says of our file is a fault.
check_systemd() { # PATH
  unit_of "$1"
  said=$(verify_units "$unit.service") || true
  ours=$(printf '%s\n' "$said" | grep -F -e "$1" -e "$unit.service" || true)
  if [ -n "$ours" ]; then
    echo "$ours"
    return 1
  fi
}

# Whether a checker that takes several files finds no fault in all of them. A file is never well only because this could not be asked.
are_well() { # CHECKER PATH...
  checker=$1
  shift
  case $checker in
    rules) timeout 60 promtool check rules --lint=all --lint-fatal "$@" >/dev/null 2>&1 ;;
    systemd)
      units=
      for path in "$@"; do
        unit_of "$path"
        case " $units " in *" $unit.service "*) ;; *) units="$units $unit.service" ;; esac
      done
      # shellcheck disable=SC2086 # a list of words
      said=$(verify_units $units) && [ -z "$said" ]
      ;;
  esac
}

check() { # CHECKER PATH
  case $1 in
    redis) check_redis ;;
    sentinel) check_sentinel ;;
    haproxy) timeout 20 haproxy -c -dW -f "$2" ;;
    keepalived) timeout 20 keepalived --config-test --use-file "$2" ;;
    sessiond) timeout 20 /usr/local/bin/sessiond --check --config "$2" ;;
    promtool) timeout 20 promtool check config "$2" ;;
    rules) timeout 20 promtool check rules --lint=all --lint-fatal "$2" ;;
    amtool) timeout 20 amtool check-config "$2" ;;
    blackbox) timeout 20 prometheus-blackbox-exporter --config.check --config.file "$2" ;;
    systemd) check_systemd "$2" ;;
  esac
}

# Asked once for all; where there is a fault, or something else is said, each file by itself, so that the report names it.
well=' - '
for together in rules systemd; do
  # shellcheck disable=SC2046 # a list of words
  set -- $(manifest file | awk -F '\t' -v checker="$together" '$9 == checker { print $2 }')
  if [ $# -gt 1 ] && are_well "$together" "$@"; then well="$well$together "; fi
done

manifest file | while IFS=$tab read -r _ path _ _ _ _ _ _ checker; do
  case $well in *" $checker "*) continue ;; esac
  read_clock
  begun=$clock
  # `set -e` is off inside a condition: a process of its own per check keeps it on.
  set +e
  said=$(
    set -e
    check "$checker" "$path" 2>&1
  )
  code=$?
  set -e
  if [ "$code" -ne 0 ]; then
    read_clock
    report validate false $((clock - begun)) "$checker refuses $path: $(printf '%s\n' "$said" | tail -n 30)" "$path"
    exit 1
  fi
done
