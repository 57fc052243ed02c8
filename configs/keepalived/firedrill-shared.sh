#!/bin/sh
# The address that this load balancer shares with its peer. keepalived moves it; this is what it needs besides.
#   firedrill-shared prepare  before keepalived starts: this machine takes packets to the address, also when it does not hold it
#   firedrill-shared check    whether HAProxy answers; one that hangs is killed, which ends its connections: their clients are told
#   firedrill-shared up|down  HAProxy runs, or has ended
#   firedrill-shared leave    gives the address to the peer without a broken connection, before something here is stopped
set -eu

# shellcheck source=/dev/null
. /etc/firedrill-shared.conf
: "${address:?}" "${port:?}" "${peer:?}" "${hung_s:?}" "${leave_ms:?}"
device=eth2
state=/run/firedrill-shared

# tell FILE VALUE: keepalived reads it at once. In place: it watches this very file. 0 is well, -254 gives the address away.
tell() {
  mkdir -p "$state"
  printf '%s\n' "$2" >"$state/$1"
}

# ask COMMAND SECONDS: nothing, and exit code 0, when HAProxy lets us wait for so long.
ask() { echo "$1" | socat -t "$2" - UNIX-CONNECT:/run/haproxy/admin.sock; }

holds() { ip -o -4 address show dev "$device" to "$address" | grep -q .; }

now_ms() { date +%s%3N; }

# The address stands on lo here for good, of which ARP tells nobody: connections survive that it goes from eth2, and those that a peer who
# leaves sends over are taken.
prepare() {
  echo 1 >"/proc/sys/net/ipv4/conf/$device/arp_ignore"
  echo 2 >"/proc/sys/net/ipv4/conf/$device/arp_announce"
  ip address replace "$address/32" dev lo
  stay
}

# Undoes what a leave that was cut short may have left.
stay() {
  nft delete table ip firedrill_leave 2>/dev/null || true
  ask 'clear acl #1' 1 >/dev/null 2>&1 || true
  tell leaving 0
}

check() {
  reply=$(ask 'show info' "$hung_s" 2>/dev/null) || return 1
  case $reply in *Uptime_sec*) return 0 ;; esac
  main=$(systemctl show -p MainPID --value haproxy)
  [ "$main" -gt 1 ] || return 1
  logger -t firedrill-shared "haproxy has not answered within $hung_s s: it is killed"
  # The master and its workers.
  # shellcheck disable=SC2046 # a list of numbers
  kill -s KILL "$main" $(pgrep -P "$main") || true
  return 1
}

# New connections go on to the peer, which answers them itself, under the shared address.
send_on() {
  nft -f - <<RULES
table ip firedrill_leave {
  set moved {
    type ipv4_addr . inet_service
    flags dynamic,timeout
    timeout 60s
  }
  chain prerouting {
    type filter hook prerouting priority raw
    iifname $device ip daddr $address tcp dport $port tcp flags & (syn | ack) == syn update @moved { ip saddr . tcp sport }
    iifname $device ip daddr $address tcp dport $port ip saddr . tcp sport @moved dup to $peer device $device drop
  }
}
RULES
}

# The others end with their next answer (haproxy.cfg, the ACL leaving), or have ended after leave_ms at most.
until_empty() {
  ask 'add acl #1 0.0.0.0/0' 1 >/dev/null || true
  until_ms=$(($(now_ms) + leave_ms))
  while left=$(ss -Htn state established "src $address:$port" | wc -l) && [ "$left" -gt 0 ] && [ "$(now_ms)" -lt "$until_ms" ]; do
    sleep 0.02
  done
  echo "leave: $left connections left"
}

leave() {
  begun_ms=$(now_ms) sent_on=
  if holds && socat -u OPEN:/dev/null "TCP:$peer:$port,connect-timeout=1" 2>/dev/null; then
    if send_on; then sent_on=yes; fi
    until_empty
  fi
  tell leaving -254
  until_ms=$(($(now_ms) + 1000))
  while holds && [ "$(now_ms)" -lt "$until_ms" ]; do sleep 0.02; done
  [ -n "$sent_on" ] || return 0
  # What was under way to this machine while the peer took over.
  sleep 0.2
  nft delete table ip firedrill_leave
  ask 'clear acl #1' 1 >/dev/null || true
  echo "leave: the address has gone to $peer, after $(($(now_ms) - begun_ms)) ms"
}

case $1 in
  prepare) prepare ;;
  check) check ;;
  up)
    tell haproxy 0
    stay
    ;;
  down) tell haproxy -254 ;;
  leave) leave ;;
  *)
    echo "firedrill-shared: unknown command: $1" >&2
    exit 2
    ;;
esac
