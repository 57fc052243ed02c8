# What the scripts around Redis on this node share. Each sets `name`, reads the settings and works in a folder of its own below `state`.
# Its events come through one pipe, descriptor 3: answers of Redis and Sentinel, and its own alarms. One loop reads them, and waits for
# nothing else. Descriptor 9 is the lock: a start of Redis and a hand-off exclude each other.
# shellcheck shell=sh disable=SC2034,SC2154 # variables of the scripts

folder='' timers='' clients=''

# read_settings FILE: redis.conf's path, addresses as HOST:PORT, times in ms.
read_settings() {
  sentinels='' total=0 others=''
  while read -r key value port; do
    case $key in
      node) own=$value:$port ;;
      state) state=$value ;;
      config) config=$value ;;
      master) master=$value ;;
      quorum) quorum=$value ;;
      fence-timeout-ms) fence_timeout_ms=$value ;;
      handoff-after-ms) handoff_after_ms=$value ;;
      handover-timeout-ms) handover_timeout_ms=$value ;;
      handover-pause) handover_pause=$value ;;
      leave-timeout-ms) leave_timeout_ms=$value ;;
      sentinel-password) sentinel_password=$value ;;
      redis-password) redis_password=$value ;;
      sentinel)
        sentinels="$sentinels $value:$port"
        total=$((total + 1))
        ;;
      redis) [ "$value:$port" = "$own" ] || others="$others $value:$port" ;;
    esac
  done <"$1"
}

seconds() { printf '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); }
now_ms() { date +%s%3N; }

# Whom redis.conf says to follow, as `HOST PORT`; nothing for a primary. Its last word counts.
# shellcheck disable=SC2016 # sed's last line
followed() { sed -nE '/^[[:space:]]*(replicaof|slaveof)[[:space:]]+/I{s///;h};${x;p}' "$config"; }

# follow [LINE]: redis.conf with this as its only replicaof, or with none; whole or not at all, owner and mode as they were.
follow() {
  new=$config.firedrill
  cp -p "$config" "$new"
  {
    sed -E '/^[[:space:]]*(replicaof|slaveof)[[:space:]]/Id' "$config"
    [ -z "${1:-}" ] || printf '%s\n' "$1"
  } >"$new"
  sync "$new"
  mv -f "$new" "$config"
}

# without WORD LIST...: sets `left` to the others.
without() {
  word=$1 left=''
  shift
  for each in "$@"; do [ "$each" = "$word" ] || left="$left $each"; done
}

# The commands come on stdin. The password goes into the environment of redis-cli: a command line is everybody's to read.
ask_redis() { REDISCLI_AUTH=$redis_password timeout "${2:-1}" redis-cli -h "${1%:*}" -p "${1##*:}" 2>&1 9>&-; }
ask_sentinel() { REDISCLI_AUTH=$sentinel_password timeout "${2:-1}" redis-cli -h "${1%:*}" -p "${1##*:}" 2>&1 9>&-; }

open_events() {
  folder=$state/$name.$$
  mkdir "$folder"
  mkfifo "$folder/events"
  exec 3<>"$folder/events"
}

# Nothing of ours outlives the script. systemd would warn, and a lock held by a forgotten process would hold up the next start.
close_events() {
  # shellcheck disable=SC2086 # lists of words
  {
    [ -z "$timers$clients" ] || kill $timers $clients 2>/dev/null || true
    [ -z "$timers" ] || wait $timers 2>/dev/null || true
  }
  [ -z "$folder" ] || rm -rf "$folder"
}

# say_after SECONDS LINE: then this line is among the events.
say_after() {
  (
    sleeper=''
    trap 'kill "$sleeper" && wait "$sleeper"' TERM
    sleep "$1" &
    sleeper=$!
    if wait "$sleeper"; then echo "$2" >&3; fi
  ) >/dev/null 2>&1 9>&- &
  timers="$timers $!"
}

# talk NAME HOST:PORT PASSWORD: a connection that stays. `tell NAME COMMAND` sends; each line of an answer is an event `NAME LINE`.
talk() {
  mkfifo "$folder/$1" "$folder/$1.said"
  REDISCLI_AUTH=$3 redis-cli -h "${2%:*}" -p "${2##*:}" <>"$folder/$1" >"$folder/$1.said" 2>&1 3>&- 9>&- &
  clients="$clients $!"
  while read -r line; do echo "$1 $line"; done <"$folder/$1.said" >&3 9>&- &
}

tell() { printf '%s\n' "$2" >"$folder/$1"; }

# hear SENTINEL CHANNEL: event `heard 1` when it listens; then `heard WORD...` of each message.
hear() {
  mkfifo "$folder/heard"
  REDISCLI_AUTH=$sentinel_password redis-cli -h "${1%:*}" -p "${1##*:}" SUBSCRIBE "$2" >"$folder/heard" 2>/dev/null 3>&- 9>&- &
  clients="$clients $!"
  while read -r line; do
    case $line in subscribe | message | "$2") ;; *) echo "heard $line" ;; esac
  done <"$folder/heard" >&3 9>&- &
}

# watch HOST:PORT: asks it every 5 ms what it is. Events: `is HOST:PORT OFFSET` of a replica, `is HOST:PORT primary`, and `gone
# HOST:PORT` when the connection ended, as it does with the promotion: watch it again.
watch() {
  watched=$folder/watch.${1%:*}.${1##*:}
  [ -p "$watched" ] || mkfifo "$watched"
  REDISCLI_AUTH=$redis_password redis-cli -h "${1%:*}" -p "${1##*:}" -r -1 -i 0.005 ROLE >"$watched" 2>/dev/null 3>&- 9>&- &
  clients="$clients $!"
  {
    at=0
    while read -r line; do
      at=$((at + 1))
      case $line in
        master) echo "is $1 primary" ;;
        slave) at=0 ;;
        *) if [ "$at" -eq 4 ]; then echo "is $1 $line"; fi ;;
      esac
    done
    sleep 0.01
    echo "gone $1"
  } <"$watched" >&3 9>&- &
}

# demote REPLICA PRIMARY: it follows that primary, at its next start too.
demote() { printf 'REPLICAOF %s %s\nCONFIG REWRITE\n' "${2%:*}" "${2##*:}" | ask_redis "$1" 2; }

# names SENTINEL: whom it takes for the primary, as one line `HOST:PORT:`.
names() { (printf 'SENTINEL GET-MASTER-ADDR-BY-NAME %s\n' "$master" | ask_sentinel "$1" | tr '\n' ':' && echo) || true; }

# Waits, for so many seconds at most, until all Sentinels name this primary. Fails when even a quorum does not.
all_agree() {
  until_ms=$(($(now_ms) + $2 * 1000))
  while :; do
    agreed=$(for each in $sentinels; do names "$each" & done | grep -cxF "$1:") || true
    [ "$agreed" -lt "$total" ] || return 0
    [ "$(now_ms)" -lt "$until_ms" ] || break
    sleep 0.05
  done
  [ "$agreed" -ge "$quorum" ]
}
