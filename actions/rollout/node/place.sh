# Puts a release's files where they belong. The caller has set `release`, and `leaving` to the release that it replaces.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here, release and leaving the caller's

# What differs from the release is put in place, what only the one we leave has goes away, and the units are no longer masked.
place_files() {
  changed=0
  while IFS=$tab read -r _ path mode owner group _; do
    if cmp -s "$release/files$path" "$path" && [ "$(stat -c '%04a %U %G' "$path")" = "$mode $owner $group" ]; then continue; fi
    put "$release/files$path" "$path" "$mode" "$owner" "$group"
    echo "$path"
    case $path in /etc/systemd/*) changed=1 ;; esac
  done <<LIST
$(manifest file)
LIST
  if [ -f "$leaving/manifest" ] && [ "$leaving" != "$release" ]; then
    gone=$(awk -F '\t' 'NR == FNR { if ($1 == "file") kept[$2] = 1; next } $1 == "file" && !($2 in kept) { print $2 }' \
      "$release/manifest" "$leaving/manifest")
    for path in $gone; do rm -f "$path"; done
    case $gone in */etc/systemd/*) changed=1 ;; esac
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
place_seeds() { # INCOMING
  release=$1 manifest seed | while IFS=$tab read -r _ path mode owner group _; do
    [ ! -e "$state/seeded$path" ] || continue
    put "$1/seeds$path" "$path" "$mode" "$owner" "$group"
    mkdir -p "$(dirname "$state/seeded$path")"
    : >"$state/seeded$path"
  done
}

point_current() { # DIGEST
  ln -sfn "releases/$1" "$state/current.new"
  mv -T "$state/current.new" "$state/current"
}

current_digest() { if [ -d "$state/current/" ]; then basename "$(readlink "$state/current")"; fi; }
