#!/bin/sh
# Breaks the network of this node towards named addresses, and heals it. Who is not named, the controller above all, notices nothing.
# Usage:
#   net.sh cut both|out ADDRESS...    drops every packet from and to them, or only those to them
#   net.sh loss PERCENT ADDRESS...    drops that share of the packets from and to them
#   net.sh slow ADDRESS               slows the interface down that leads there; says by what: netem (a delay) or tbf (a rate)
#   net.sh ready                      breaks nothing, and makes the kernel load what the first rules would wait for
#   net.sh heal                       undoes any of these, from whatever state; safe to repeat
# All rules are in a table of their own. Nothing of this outlives a reboot.
# A fault prints "now NANOSECONDS" right before it takes effect and "done NANOSECONDS" right after.
set -eu

family=inet table=firedrill_drill
slowed=/run/firedrill-drill-slowed

action=$1
shift

# both|out STATEMENT ADDRESS...: one transaction, so it takes effect at once
rules() {
  direction=$1 statement=$2
  shift 2
  [ $# -gt 0 ] || { echo 'net.sh: no address' >&2; exit 2; }
  set_of=$(printf '%s, ' "$@")
  input=''
  if [ "$direction" = both ]; then
    input="chain from { type filter hook input priority -300; ip saddr { ${set_of%, } } $statement; }"
  fi
  output="chain to { type filter hook output priority -300; ip daddr { ${set_of%, } } $statement; }"
  echo "now $(date +%s%N)"
  printf 'table %s %s {\n%s\n%s\n}\n' "$family" "$table" "$input" "$output" | nft -f -
  echo "done $(date +%s%N)"
}

for word in "$@"; do
  case $word in
    both | out) ;;
    '' | *[!0-9.]*) echo "net.sh: neither an address nor a number: $word" >&2; exit 2 ;;
  esac
done

case $action in
  cut)
    direction=$1
    shift
    rules "$direction" drop "$@"
    ;;
  loss)
    percent=$1
    shift
    rules both "numgen random mod 100 < $percent drop" "$@"
    ;;
  slow)
    interface=$(ip -o route get "$1" | sed -n 's/.* dev \([^ ]*\).*/\1/p')
    echo "$interface" > "$slowed"
    echo "now $(date +%s%N)"
    if tc qdisc replace dev "$interface" root netem delay 10ms 5ms 2> /dev/null; then
      by='netem, 10 ms delay'
    else
      tc qdisc replace dev "$interface" root tbf rate 10mbit burst 16kb latency 400ms
      by='tbf, 10 Mbit/s'
    fi
    echo "done $(date +%s%N)"
    echo "by $by"
    ;;
  ready)
    # Of 192.0.2.0/24, which is nobody's (RFC 5737).
    rules both drop 192.0.2.1 > /dev/null
    nft delete table "$family" "$table"
    ;;
  heal)
    nft delete table "$family" "$table" 2> /dev/null || true
    if [ -e "$slowed" ]; then
      tc qdisc del dev "$(cat "$slowed")" root 2> /dev/null || true
      rm -f "$slowed"
    fi
    ;;
  *)
    echo "net.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
