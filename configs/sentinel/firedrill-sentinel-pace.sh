#!/bin/sh
# firedrill-sentinel-pace PING_MS TILT_MS: how often this Sentinel pings each of the others, and tries again to reach one that it has lost;
# and how long it does nothing after it was paused, or its clock was stepped (TILT). Sentinel keeps no such setting, so its unit runs this
# at each start. Without it the first is a second, and the other 30.
set -eu
settings=/etc/redis/firedrill-sentinel.conf

value_of() { awk -v key="$1" '$1 == key { print $2; exit }' "$settings"; }

port=$(value_of port)
REDISCLI_AUTH=$(value_of requirepass)
export REDISCLI_AUTH
answer=$(timeout 2 redis-cli -p "$port" SENTINEL DEBUG ping-period "$1" tilt-period "$2" 2>&1 </dev/null) || true
[ "$answer" != OK ] || exit 0
echo "SENTINEL DEBUG ping-period $1 tilt-period $2: ${answer:-no answer in 2 s}; they stay as they are" >&2
exit 1
