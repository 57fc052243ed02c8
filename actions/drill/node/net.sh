#!/bin/sh
# Breaks the network of this node, and heals it.
# Usage:
#   net.sh cut both|out ADDRESS...    drops every packet from and to them, or only those to them
#   net.sh loss PERCENT ADDRESS...    drops that share of the packets from and to them
#   net.sh slow ADDRESS               slows the interface down that leads there; says by what: netem (a delay) or tbf (a rate)
#   net.sh silent FOR_MS [LINK]       drops all that comes in and goes out, ARP too, for so long: on LINK (an interface, or an address
#                                     that it leads to), or on every interface but lo
#   net.sh blink DOWN_MS UP_MS TIMES [LINK]  the same TIMES times, each for DOWN_MS, with UP_MS after it
#   net.sh ready                      breaks nothing, and makes the kernel load what the first rules would wait for
#   net.sh heal                       undoes any of these, from whatever state; safe to repeat
# Of cut, loss and slow, who is not named, the controller above all, notices nothing.
# All rules are in tables of their own. Nothing of this outlives a reboot.
# A fault prints "now NANOSECONDS" right before it takes effect and "done NANOSECONDS" right after. silent and blink take effect between
# the two, some milliseconds after the answer has left.
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

# ADDRESS: the interface that leads there
interface_to() { ip -o route get "$1" | sed -n 's/.* dev \([^ ]*\).*/\1/p'; }

# [LINK]: the interfaces
links() {
  case ${1-} in
    '') ip -o link show up ;;
    *[!0-9.]*) ip -o link show dev "$1" ;;
    *) ip -o link show dev "$(interface_to "$1")" ;;
  esac | sed -n 's/^[0-9]*: \([^:@]*\).*/\1/p' | grep -vx lo
}

# DOWN_MS UP_MS TIMES [LINK]: below IP, so that nobody is answered and no sender on this machine is told. An interface is silent while
# it is in the set. The kernel takes it out again by itself (the timeout), whatever becomes of this script.
silence() {
  names=$(links "${4-}") || { echo "net.sh: no such link: ${4-}" >&2; exit 2; }
  # shellcheck disable=SC2086 # one a word
  devices=$(printf '%s, ' $names) silent=$(printf "\"%s\" timeout ${1}ms, " $names)
  nft -f - << RULES
table netdev $table {
  set silent { type ifname; flags timeout; }
  chain arrives { type filter hook ingress devices = { ${devices%, } } priority -500; meta iifname @silent drop; }
  chain leaves { type filter hook egress devices = { ${devices%, } } priority -500; meta oifname @silent drop; }
}
RULES
  now=$(date +%s%N)
  echo "now $now"
  echo "done $((now + 40000000))"
  period_ms=$(($1 + $2))
  # shellcheck disable=SC2016 # the inner shell's
  setsid sh -c '
    table=$1 silent=$2 times=$3 period_s=$4
    sleep 0.03
    while nft add element netdev "$table" silent "{ $silent }"; do
      times=$((times - 1))
      [ "$times" -gt 0 ] || exit 0
      sleep "$period_s"
    done
  ' sh "$table" "${silent%, }" "$3" "$(printf '%d.%03d' $((period_ms / 1000)) $((period_ms % 1000)))" < /dev/null > /dev/null 2>&1 &
}

case $action in
  silent | blink) plain=A-Za-z0-9._- ;;
  *) plain=0-9. ;;
esac
for word in "$@"; do
  case $word in
    both | out) ;;
    '' | *[!$plain]*) echo "net.sh: neither an address nor a number: $word" >&2; exit 2 ;;
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
    interface=$(interface_to "$1")
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
  silent)
    silence "$1" 0 1 "${2-}"
    ;;
  blink)
    silence "$1" "$2" "$3" "${4-}"
    ;;
  ready)
    # Of 192.0.2.0/24, which is nobody's (RFC 5737).
    rules both drop 192.0.2.1 > /dev/null
    nft delete table "$family" "$table"
    ;;
  heal)
    nft delete table "$family" "$table" 2> /dev/null || true
    nft delete table netdev "$table" 2> /dev/null || true
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
