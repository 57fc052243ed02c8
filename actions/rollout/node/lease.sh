# A lease says which run may change this node, and until when: a dead run leaves nothing stuck. One line:
# RUN GENERATION SINCE_MS EXPIRES_MS WHO.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# take_lease RUN GENERATION LEASE_MS WHO: takes or renews it, or reports who has it and fails.
take_lease() {
  now=$(now_ms)
  since=$now
  if [ -f "$state/lease" ]; then
    read -r holder seen began expires who <"$state/lease"
    if [ "$holder" = "$1" ]; then
      since=$began
    elif [ "$expires" -gt "$now" ]; then
      report lease false 0 "run $holder ($who) has worked on this node for $(((now - began) / 1000)) s and its lease holds for $(((expires - now + 999) / 1000)) s more"
      return 1
    fi
    if [ "$2" -lt "$seen" ]; then
      report generation false 0 "a newer run ($seen, by $who) was here already; this one is $2"
      return 1
    fi
  fi
  printf '%s %s %s %s %s\n' "$1" "$2" "$since" $((now + $3)) "$4" >"$state/lease.new"
  mv -f "$state/lease.new" "$state/lease"
}

# drop_lease RUN: gives it back; what it says about the generation stays.
drop_lease() {
  [ -f "$state/lease" ] || return 0
  read -r holder seen began expires who <"$state/lease"
  [ "$holder" = "$1" ] || return 0
  printf '%s %s %s 0 %s\n' "$holder" "$seen" "$began" "$who" >"$state/lease.new"
  mv -f "$state/lease.new" "$state/lease"
}
