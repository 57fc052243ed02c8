#!/bin/sh
# Says that a drill is at work on this node, to deploys and to other drills, in the lease that deploys take, too.
# Usage: lease.sh take RUN FOR_MS | lease.sh drop RUN
# One line: RUN GENERATION SINCE_MS EXPIRES_MS WHO. A dead run's lease ends by itself. The generation is the deploys' and stays.
set -eu

action=$1
run=$2
state=/var/lib/firedrill
lease=$state/lease

# The deploys' lock: between reading the lease and writing it nobody else writes. Who waits longer meets a deploy at work.
exec 9> "$state/lock"
if ! flock -w 3 9; then
  echo 'a deploy works on this node right now' >&2
  exit 4
fi

now=$(date +%s%3N)
holder='' generation=0 since=$now expires=0 who=''
# shellcheck disable=SC2034 # who is read for the message below
read -r holder generation since expires who 2> /dev/null < "$lease" || true

put() {
  echo "$run $generation $since $1 drill" > "$lease.drill-new"
  mv -f "$lease.drill-new" "$lease"
}

case $action in
  take)
    if [ "$holder" != "$run" ]; then
      if [ "${expires:-0}" -gt "$now" ]; then
        echo "run $holder ($who) has worked on this node for $(((now - since) / 1000)) s" >&2
        exit 4
      fi
      since=$now
    fi
    put $((now + $3))
    ;;
  drop)
    [ "$holder" != "$run" ] || put 0
    ;;
  *)
    echo "lease.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
