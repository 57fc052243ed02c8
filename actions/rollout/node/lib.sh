# What every script here shares. The caller has set `release` (a folder with a manifest) where it uses the manifest.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# shellcheck disable=SC2034 # used by the scripts that read this file
state=/var/lib/firedrill
# Keeps maintainer scripts from restarting what we restart in our own time; see upgrade_packages.
policy=/usr/sbin/policy-rc.d
# shellcheck disable=SC2034
policy_mark='# Firedrill: only while it upgrades packages'
tab='	'
newline='
'

is_policy_ours() { [ -f "$policy" ] && grep -qsxF "$policy_mark" "$policy"; }

now_ms() { date +%s%3N; }

# Sets `clock` to the time since the start of the machine (ms, in steps of 10), without a process: for how long something takes.
read_clock() {
  read -r clock _ </proc/uptime
  clock=$((${clock%.*} * 1000 + 1${clock#*.} * 10 - 1000))
}

# A text as a JSON string, without control characters.
json_string() {
  # Most that is told needs no processes.
  case $1 in
    *[!A-Za-z0-9\ /.,:\;=_@%+~\(\)\'-]*) ;;
    *)
      printf '"%s"' "$1"
      return
      ;;
  esac
  printf '"%s"' "$(printf '%s' "$1" | tr -d '\000-\010\013-\037\177' |
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' | sed -e ':a' -e 'N' -e '$!ba' -e 's/\n/\\n/g')"
}

# report PHASE true|false MS DETAIL [PATH]: one JSON line. The controller may be gone: that must not stop what was begun.
report() {
  printf '{"phase":"%s","ok":%s,"ms":%d,"detail":%s%s}\n' "$1" "$2" "$3" "$(json_string "$4")" \
    "${5:+,\"path\":\"$5\"}" || true
}

# timed PHASE COMMAND...: runs it and reports. On failure: its last lines are the detail, and its exit code is ours.
timed() {
  timed_phase=$1
  shift
  read_clock
  timed_begun=$clock
  # Inside a condition `set -e` would be off in the command too.
  set +e
  timed_output=$(
    set -e
    "$@" 2>&1
  )
  timed_code=$?
  set -e
  read_clock
  if [ "$timed_code" -eq 0 ]; then
    # Of one line the last five are itself.
    case $timed_output in *"$newline"*) timed_output=$(printf '%s\n' "$timed_output" | tail -n 5) ;; esac
    report "$timed_phase" true $((clock - timed_begun)) "$timed_output"
  else
    [ -z "${timed_log:-}" ] || printf '%s: %s\n' "$timed_phase" "$timed_output" >"$timed_log"
    report "$timed_phase" false $((clock - timed_begun)) "$(printf '%s\n' "$timed_output" | tail -n 30)"
  fi
  return "$timed_code"
}

# Lines of one kind from the manifest: package, group, user, dir, unit, file, seed.
manifest() { awk -F '\t' -v kind="$1" '$1 == kind' "$release/manifest"; }

# put SOURCE PATH MODE OWNER GROUP: the file appears whole or not at all.
put() {
  [ -d "${2%/*}" ] || mkdir -p "${2%/*}"
  cp "$1" "$2.firedrill-new"
  chown "$4:$5" "$2.firedrill-new"
  chmod "$3" "$2.firedrill-new"
  mv -f "$2.firedrill-new" "$2"
}

# The last words of the units, for a report of failure.
journal_tail() {
  for unit in "$@"; do
    echo "journal of $unit:"
    journalctl -u "$unit" -n 15 --no-pager -o cat 2>&1 || true
  done
}
