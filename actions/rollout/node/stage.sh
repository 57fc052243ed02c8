#!/bin/sh
# stage.sh INCOMING DIGEST: what the release needs is installed, the release lies in releases/DIGEST, and the native checkers accept it.
# Nothing that runs has changed when this ends.
set -eu

here=${0%/*}
# shellcheck source=actions/rollout/node/lib.sh
. "$here/lib.sh"
# shellcheck source=actions/rollout/node/packages.sh
. "$here/packages.sh"

incoming=$1 digest=$2
release=$incoming

# A disk that fills up in the middle of a switch could not even take the old files back.
has_room() {
  used=$(du -sk "$incoming") free=$(df -k --output=avail "$state")
  needed=$((${used%%"$tab"*} * 4 + 16384)) free=$((${free##*"$newline"}))
  [ "$free" -ge "$needed" ] || {
    echo "the disk has $((free / 1024)) MB left, and the release wants $((needed / 1024)) MB to be brought and taken back safely"
    return 1
  }
}

# A package that is there in another version runs what the node serves with: that is the switch's to change, not ours.
bring_packages() {
  if [ ! -d "$state/current/" ]; then
    mask_new_units
    install_packages
    return
  fi
  # The switch would find it when it is too late to leave the node as it is.
  [ "$(wanted_packages)" = "$(missing_packages)" ] || refuse_foreign_policy
  if [ -n "$(missing_packages)" ]; then
    mask_new_units
    install_missing
  fi
}

# Fails, and names it, when a file of the release is not in FOLDER as the manifest says.
are_whole() { # FOLDER
  awk -F '\t' -v root="$1" '$1 == "file" { print $6 "  " root $2 }' "$release/manifest" >"$incoming/sums"
  # A release without files has nothing to check.
  [ ! -s "$incoming/sums" ] || sha256sum --check --quiet --strict "$incoming/sums"
}

# With the owners and modes that the files will have, under the folder `files`, and the manifest beside it. A release that the node has
# kept comes without files.
stage() {
  if [ ! -d "$incoming/files" ]; then
    kept=$state/releases/$digest
    cmp -s "$incoming/manifest" "$kept/manifest" || {
      echo "release $digest is not on this node any more"
      return 1
    }
    are_whole "$kept/files"
    touch "$kept"
    return
  fi
  new=$state/releases/$digest.new
  rm -rf "$new"
  mkdir -p "$new/files"
  are_whole "$incoming/files"
  cp -r "$incoming/manifest" "$incoming/files" "$new/"
  find "$new/files" -type d -exec chmod 755 {} +
  # One call for all files that are to have the same.
  manifest file | cut -f 3-5 | sort -u | while IFS=$tab read -r mode owner group; do
    awk -F '\t' -v root="$new/files" -v wanted="$mode$tab$owner$tab$group" \
      '$1 == "file" && $3 FS $4 FS $5 == wanted { print root $2 }' "$new/manifest" >"$incoming/alike"
    xargs chown "$owner:$group" <"$incoming/alike"
    xargs chmod "$mode" <"$incoming/alike"
  done
  find "$new" -type f -exec sync {} +
  rm -rf "${state:?}/releases/$digest"
  mv -T "$new" "$state/releases/$digest"
  touch "$state/releases/$digest"
}

timed room has_room
if [ ! -d "$state/current/" ] || [ -n "$(wanted_packages)" ]; then timed install bring_packages; fi
timed users make_users
timed stage stage
read_clock
begun=$clock
# In a mount namespace of its own the checkers see the staged files under their real names.
unshare --mount --propagation private sh "$here/check.sh" "$state/releases/$digest" "$incoming/seeds"
read_clock
report validate true $((clock - begun)) ''
