#!/bin/sh
# Fills the disk that Redis writes to, and frees it again.
# Usage: disk.sh fill|heal
#   fill   takes all that the file system of Redis' data has left for anybody but root, in one file that is reserved and never written.
#          As Redis' user: the share that the file system keeps for root stays (not through an overlay, as in the lab), so that the
#          machine itself goes on. Refused where nothing is kept, and in a container that sees a disk larger than a small machine's: it may be its host's.
#   heal   removes the file, from whatever state; safe to repeat
# A fault prints "now NANOSECONDS" right before it takes effect and "done NANOSECONDS" right after.
set -eu

folder=/var/lib/redis user=redis
file=$folder/firedrill-drill-fill
largest_in_container_kb=$((32 * 1024 * 1024))

refuse() {
  echo "disk.sh: $folder: $*" >&2
  exit 3
}

case $1 in
  fill)
    # Of so many bytes a block: all, those free for root, those free for others.
    # shellcheck disable=SC2046 # words
    set -- $(stat --file-system --format='%S %b %f %a' "$folder")
    [ "$3" -gt "$4" ] || refuse 'its file system keeps no share for root, and would take the whole machine down when it is full'
    if systemd-detect-virt --quiet --container && [ $(($1 * $2 / 1024)) -gt "$largest_in_container_kb" ]; then
      refuse "a disk of $(($1 * $2 / 1024 / 1024)) MB in a container may be its host's"
    fi
    echo "now $(date +%s%N)"
    # Smaller and smaller pieces: a file system can't give away its last blocks at once.
    # shellcheck disable=SC2016 # the inner shell's
    setpriv --reuid="$user" --regid="$user" --clear-groups sh -euc '
      file=$1 piece=$2 at=0
      while [ "$piece" -ge 4 ]; do
        if fallocate --offset "${at}KiB" --length "${piece}KiB" "$file" 2> /dev/null; then
          at=$((at + piece))
        else
          piece=$((piece / 2))
        fi
      done
    ' sh "$file" $(($1 * $4 / 1024))
    echo "done $(date +%s%N)"
    ;;
  heal)
    rm -f "$file"
    ;;
  *)
    echo "disk.sh: unknown action: $1" >&2
    exit 2
    ;;
esac
