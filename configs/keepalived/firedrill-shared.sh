#!/bin/sh
# The address that this load balancer shares with its peer. keepalived moves it; this is what it needs besides.
#   firedrill-shared prepare  before keepalived starts: this machine takes packets to the address, also when it does not hold it
#   firedrill-shared check    whether HAProxy answers; one that hangs is killed, which ends its connections: their clients are told.
#                             One that reaches no server gives the address to a peer that reaches one
#   firedrill-shared reign|end  this machine has just taken the address, or has it no more
#   firedrill-shared up|down  HAProxy runs, or has ended
#   firedrill-shared leave    gives the address to the peer without a broken connection, before something here is stopped
set -eu

# shellcheck source=/dev/null
. /etc/firedrill-shared.conf
: "${address:?}" "${port:?}" "${peer:?}" "${hung_s:?}" "${leave_ms:?}" "${mode:?}" "${servers:?}"
device=eth2
state=/run/firedrill-shared
# A reign is a number from 1 to so many, a higher one each so many seconds, so that a later one is above an earlier; but for the moment, every
# ten minutes, when it begins anew. So long (s) after it was taken it falls to 1, once the peer is back.
reigns=150 reign_step_s=4 reign_s=20

# tell FILE VALUE: keepalived reads it at once. In place: it watches this very file. 0 is well, -254 gives the address away.
tell() {
  mkdir -p "$state"
  printf '%s\n' "$2" >"$state/$1"
}

# ask COMMAND SECONDS: nothing, and exit code 0, when HAProxy lets us wait for so long.
ask() { echo "$1" | socat -t "$2" - UNIX-CONNECT:/run/haproxy/admin.sock; }

# number FILE: what was told there last; 0 when nothing was.
number() {
  value=''
  if [ -r "$state/$1" ]; then read -r value <"$state/$1" || true; fi
  case ${value#-} in '' | *[!0-9]*) echo 0 ;; *) echo "$value" ;; esac
}

holds() { ip -o -4 address show dev "$device" to "$address" | grep -q .; }

now_ms() { date +%s%3N; }

# The address stands on lo here for good, of which ARP tells nobody: connections survive that it goes from eth2, and those that a peer who
# leaves sends over are taken.
prepare() {
  echo 1 >"/proc/sys/net/ipv4/conf/$device/arp_ignore"
  echo 2 >"/proc/sys/net/ipv4/conf/$device/arp_announce"
  ip address replace "$address/32" dev lo
  for each in servers reign holds base; do tell "$each" 0; done
  stay
}

# Undoes what a leave that was cut short may have left.
stay() {
  nft delete table ip firedrill_leave 2>/dev/null || true
  ask 'clear acl #1' 1 >/dev/null 2>&1 || true
  tell leaving 0
}

check() {
  reply=$(ask 'show stat' "$hung_s" 2>/dev/null) || return 1
  case $reply in
    '# pxname,svname,'*)
      share "$reply"
      # Their failure is none of HAProxy's.
      claim_late || true
      forget_reign || true
      return 0
      ;;
  esac
  main=$(systemctl show -p MainPID --value haproxy)
  [ "$main" -gt 1 ] || return 1
  logger -t firedrill-shared "haproxy has not answered within $hung_s s: it is killed"
  # The master and its workers.
  # shellcheck disable=SC2046 # a list of numbers
  kill -s KILL "$main" $(pgrep -P "$main") || true
  return 1
}

# Of `show stat`: whether a server of the service is up, of those that are checked, and none of its checks has failed since.
reaches() {
  while IFS=, read -r backend server _ _ _ _ _ _ _ _ _ _ _ _ _ _ _ status _; do
    case $backend,$server,$status in
      app,BACKEND,*) ;;
      app,*,UP) return 0 ;;
    esac
  done <<STAT
$1
STAT
  return 1
}

# Of `show stat`: the commands that end what each of the service's servers was asked, one a line.
each_server() {
  while IFS=, read -r backend server _; do
    case $backend,$server in
      app,BACKEND) ;;
      app,*) echo "shutdown sessions server app/$server" ;;
    esac
  done <<STAT
$1
STAT
}

ask_all() { while read -r command; do ask "$command" 1 >/dev/null 2>&1; done; }

# answers HOST:PORT PATH: it says 200, within 0.2 s
answers() {
  said=$(printf 'GET %s HTTP/1.0\r\n\r\n' "$2" | timeout 0.2 socat -t 0.2 - "TCP:$1" 2>/dev/null) || return 1
  case $said in HTTP/1.?' 200 '*) ;; *) return 1 ;; esac
}

# reached: a server answers this machine.
reached() {
  asked='' good=1
  for each in $servers; do
    answers "$each" /healthz &
    asked="$asked $!"
  done
  for each in $asked; do if wait "$each"; then good=0; fi; done
  return "$good"
}

# A server answers through the peer, and none answers this machine after that, twice. HAProxy's checks are not asked: they take some time
# to see a server go, and to see it come back, and of two load balancers one sees it earlier.
cut_off() {
  for _ in 1 2; do
    answers "$peer:$port" /healthz || return 1
    if reached; then return 1; fi
  done
}

# The address goes to who can serve. While neither can, or the peer is gone, it stays where it is; so it does where the service does not
# speak HTTP, since nobody can ask it through the peer.
share() {
  weight=0
  if [ "$mode" = http ] && ! reaches "$1" && cut_off; then weight=-254; fi
  [ "$(number servers)" != "$weight" ] || return 0
  tell servers "$weight"
  # What waits here for a server waits in vain: its clients are told.
  [ "$weight" -eq 0 ] || each_server "$1" | ask_all || true
}

# Who took the address, and is served there, is above whom it took it from. So a keepalived that goes on after a pause, as if it had the
# address still, steps down at its successor's next advert. One that took it only because its own link is silent has nobody to serve, stays
# below, and steps down as it comes back. Clients come at once to who has the address. Who nobody came to by then may have been cut off, and
# counts for nothing what comes with the first packets after that: it looks again when the other one has had time to speak.
# `holds`: 0 no, 1 taken, 2 and served. `base`: the clients' connections at first.
reign() {
  tell base "$(connections)"
  tell holds 1
  tries=0
  while [ "$tries" -lt 8 ] && [ "$(number holds)" -eq 1 ]; do
    claim
    sleep 0.02
    tries=$((tries + 1))
  done
}

# How many clients are connected to the shared address. The monitor asks each load balancer by its own.
connections() { ss -Htn state established "src $address:$port" | wc -l; }

# keepalived starts `reign` and `end` beside each other, and `check` beside both.
alone() {
  exec 9>"$state/lock"
  flock -w 1 9
}

# older FILE SECONDS: nothing was told there for so long.
older() { [ $(($(date +%s) - $(stat -c %Y "$state/$1" || date +%s))) -ge "$2" ]; }

claim_late() {
  if [ "$(number holds)" -eq 1 ] && older holds 3; then claim; fi
}

claim() {
  [ "$(number holds)" -eq 1 ] && holds || return 0
  now=$(connections) base=$(number base)
  # Those of before end meanwhile.
  [ "$now" -ge "$base" ] || tell base "$now"
  [ "$now" -gt "$base" ] || return 0
  alone
  if [ "$(number holds)" -eq 1 ]; then
    tell holds 2
    tell reign "$(($(date +%s) / reign_step_s % reigns + 2))"
  fi
  exec 9>&-
}

end() {
  alone
  tell holds 0
  tell reign 0
}

# Not before the peer answers: one that is frozen still may have an earlier reign. What is left is 1: above a standby that took the address
# because its own link was silent.
forget_reign() {
  [ "$(number reign)" -gt 1 ] && older reign "$reign_s" || return 0
  if answers "$peer:$port" /healthz; then tell reign 1; fi
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
  reign) reign ;;
  end) end ;;
  leave) leave ;;
  *)
    echo "firedrill-shared: unknown command: $1" >&2
    exit 2
    ;;
esac
