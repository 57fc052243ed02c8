# Puts a release's files where they belong. The caller has set `release`, and `leaving` to the release that it replaces.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here, release and leaving the caller's

# The manifest's lines of the files that do not lie where they belong as the release has them, told by a few processes for all of them.
differing_files() {
  paths=$(manifest file | cut -f 2)
  # shellcheck disable=SC2086 # a list of words
  set -- $paths
  [ $# -gt 0 ] || return 0
  {
    # Of a file that is not there they say nothing on standard output.
    stat --printf '%n\t%04a\t%U\t%G\n' "$@" 2>/dev/null || true
    sha256sum "$@" 2>/dev/null || true
  } | awk -F '\t' '/^\// { is[$1] = $2 FS $3 FS $4; next }
    NF == 1 { sum[substr($1, 67)] = substr($1, 1, 64); next }
    $1 == "file" && (is[$2] != $3 FS $4 FS $5 || sum[$2] != $6)' - "$release/manifest"
}

# What differs from the release is put in place, what only the one we leave has goes away, and the units are no longer masked.
place_files() {
  changed=0
  while IFS=$tab read -r _ path mode owner group _; do
    # Where nothing differs the list is one empty line.
    [ -n "$path" ] || continue
    put "$release/files$path" "$path" "$mode" "$owner" "$group"
    echo "$path"
    case $path in /etc/systemd/*) changed=1 ;; esac
  done <<LIST
$(differing_files)
LIST
  if [ -f "$leaving/manifest" ] && [ "$leaving" != "$release" ]; then
    gone=$(awk -F '\t' 'NR == FNR { if ($1 == "file") kept[$2] = 1; next } $1 == "file" && !($2 in kept) { print $2 }' \
      "$release/manifest" "$leaving/manifest")
    for path in $gone; do rm -f "$path"; done
    case $gone in */etc/systemd/*) changed=1 ;; esac
  fi
  for unit in $(manifest unit | cut -f 2); do
    link=/etc/systemd/system/$unit.service
    if [ -L "$link" ] && [ "$(readlink "$link")" = /dev/null ]; then
      rm "$link"
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
    seeded=$state/seeded$path
    mkdir -p "${seeded%/*}"
    : >"$state/seeded$path"
  done
}

point_current() { # DIGEST
  ln -sfn "releases/$1" "$state/current.new"
  mv -T "$state/current.new" "$state/current"
}

current_digest() {
  [ -d "$state/current/" ] || return 0
  current=$(readlink "$state/current")
  echo "${current##*/}"
}
