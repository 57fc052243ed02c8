#!/bin/sh
# switch.sh INCOMING DIGEST ACTIVE_MS UNIT=HOW...: the release becomes current, the units use it and stay active, or the node goes back
# to the release it had.
set -eu

here=$(dirname "$0")
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"
# shellcheck source=actions/rollout/node/packages.sh
. "$here/packages.sh"
# shellcheck source=actions/rollout/node/units.sh
. "$here/units.sh"

incoming=$1 digest=$2 active_ms=$3
shift 3

# place_files: what differs from the release `$release` is put in place, what only `$leaving` has goes away, and the units are no
# longer masked.
place_files() {
  changed=0
  while IFS=$tab read -r _ path mode owner group _; do
    if cmp -s "$release/files$path" "$path" && [ "$(stat -c '%04a %U %G' "$path")" = "$mode $owner $group" ]; then continue; fi
    put "$release/files$path" "$path" "$mode" "$owner" "$group"
    echo "$path"
    case $path in /etc/systemd/*) changed=1 ;; esac
  done <<EOF
$(manifest file)
EOF
  if [ -f "$leaving/manifest" ] && [ "$leaving" != "$release" ]; then
    awk -F '\t' 'NR == FNR { if ($1 == "file") kept[$2] = 1; next } $1 == "file" && !($2 in kept) { print $2 }' \
      "$release/manifest" "$leaving/manifest" | while read -r path; do rm -f "$path"; done
    changed=1
  fi
  for unit in $(manifest unit | cut -f 2); do
    if [ "$(readlink "/etc/systemd/system/$unit.service" || true)" = /dev/null ]; then
      rm "/etc/systemd/system/$unit.service"
      changed=1
    fi
  done
  [ "$changed" = 0 ] || systemctl daemon-reload
}

# The service's own files: once, and marked, since the package brings a file of its own there.
place_seeds() {
  release=$incoming manifest seed | while IFS=$tab read -r _ path mode owner group _; do
    [ ! -e "$state/seeded$path" ] || continue
    put "$incoming/seeds$path" "$path" "$mode" "$owner" "$group"
    mkdir -p "$(dirname "$state/seeded$path")"
    : >"$state/seeded$path"
  done
}

point_current() { # DIGEST
  ln -sfn "releases/$1" "$state/current.new"
  mv -T "$state/current.new" "$state/current"
}

place() {
  [ -z "$(wanted_packages)" ] || upgrade_packages
  place_files
  place_seeds
  point_current "$digest"
}

# Packages are not downgraded: what an upgrade has replaced is said instead. `versions` is how they were.
packages_that_stay() {
  # The release that we went forward to knows the packages.
  release=$leaving package_versions | while read -r name version; do
    printf '%s\n' "$versions" | grep -qxF "$name $version" || printf ' %s %s' "$name" "$version"
  done | sed 's/^/; packages stay:/'
}

# What the node had, back again. Nothing to go back to on a new node: its units are stopped rather than left half made.
go_back() {
  if [ -z "$previous" ]; then
    for each in "$@"; do systemctl stop "${each%=*}" || true; done
    rm -f "$state/current"
    echo 'there was no earlier release on this node; its units are stopped'
    return 0
  fi
  leaving=$release
  release=$state/releases/$previous
  place_files
  point_current "$previous"
  for each in "$@"; do
    unit=${each%=*}
    # Restarting is the one act that surely undoes a live change or a bad reload; a service that survived those need not suffer it.
    case ${each#*=} in reload) how=reload ;; *) how=restart ;; esac
    if act "$unit" "$how"; then note_running "$unit" "$previous"; else echo "$unit does not $how with the earlier release either"; fi
  done
  echo "back at release $previous$(packages_that_stay)"
}

apply() {
  timed switch place
  for each in "$@"; do
    timed "${each#*=}" act "${each%=*}" "${each#*=}"
    note_running "${each%=*}" "$digest"
  done
  units=$(manifest unit | cut -f 2)
  # shellcheck disable=SC2086 # a list of words
  timed active stays_active "$active_ms" $units
  for unit in $units; do note_running "$unit" "$digest"; done
}

release=$state/releases/$digest
previous=
if [ -d "$state/current/" ]; then previous=$(basename "$(readlink "$state/current")"); fi
leaving=$state/releases/$previous
[ -n "$previous" ] || leaving=/nonexistent
versions=$(package_versions)

set +e
(
  set -e
  apply "$@"
)
code=$?
set -e
if [ "$code" -ne 0 ]; then
  # shellcheck disable=SC2046 # a list of words
  report journal false 0 "$(journal_tail $(manifest unit | cut -f 2))"
  if [ "$previous" = "$digest" ]; then
    report revert false 0 'the release is the one the node had: there is nothing to go back to'
  else
    timed revert go_back "$@"
  fi
fi
[ "$code" -eq 0 ]
