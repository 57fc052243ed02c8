# The node's own promise to go back to the release it had unless the new one is confirmed. What it needs for that is its record, a file
# of lines KEY, tab, VALUE:
#   deadline MS | run RUN | generation N | nonce NONCE | from DIGEST or - | to DIGEST | unit NAME HOW | package NAME VERSION
# `pending` is the record of a release that waits for its confirmation, `last` the one of the release that was confirmed last.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here the caller's

# shellcheck disable=SC2034
pending=$state/pending last=$state/last
deadman=firedrill-revert.service

# record_value RECORD KEY: without a process, since all of a rollout asks.
record_value() {
  while IFS=$tab read -r record_key record_text _; do
    [ "$record_key" = "$2" ] || continue
    printf '%s\n' "$record_text"
    return
  done <"$1"
}

# What lies in `pending` or `last` appears whole or not at all, and survives a power cut. Standard input is its text.
write_record() { # PATH
  cat >"$1.new"
  sync "$1.new"
  mv -f "$1.new" "$1"
  sync "$state"
}

# The scripts and the unit lie where no run clears them away.
install_deadman() {
  rm -rf "$state/node.new"
  cp -r "$here" "$state/node.new"
  rm -rf "$state/node"
  mv -T "$state/node.new" "$state/node"
  if cmp -s "$here/$deadman" "/etc/systemd/system/$deadman"; then return 0; fi
  cp "$here/$deadman" "$state/$deadman"
  chmod 644 "$state/$deadman"
  mv "$state/$deadman" "/etc/systemd/system/$deadman"
  systemctl daemon-reload
  systemctl enable --quiet "$deadman"
}

# arm RUN GENERATION NONCE CONFIRM_MS FROM TO UNIT=HOW...: from here on the node goes back by itself. `versions` is how its packages are.
arm() {
  if [ -f "$pending" ]; then
    echo "release $(record_value "$pending" to) of run $(record_value "$pending" run) waits for its confirmation here"
    return 1
  fi
  {
    printf 'deadline\t%s\nrun\t%s\ngeneration\t%s\nnonce\t%s\nfrom\t%s\nto\t%s\n' $(($(now_ms) + $4)) "$1" "$2" "$3" "$5" "$6"
    shift 6
    for each in "$@"; do printf 'unit\t%s\t%s\n' "${each%%=*}" "${each#*=}"; done
    printf '%s\n' "$versions" | while read -r name version; do
      [ -z "$version" ] || printf 'package\t%s\t%s\n' "$name" "$version"
    done
  } | write_record "$pending"
  # Not `start`: the one before, with nothing left to wait for, may be about to end.
  timeout 10 systemctl restart "$deadman" || {
    rm -f "$pending"
    echo "$deadman does not start: without it this node could not save itself"
    return 1
  }
}

# The switch is done: the time for the look from outside and the confirmation counts from now.
extend() { # CONFIRM_MS
  sed "s/^deadline$tab.*/deadline$tab$(($(now_ms) + $1))/" "$pending" | write_record "$pending"
}

# confirm RUN NONCE: the release stays. Refused when it is not this run's, or when the node has gone back already.
confirm() {
  if [ ! -f "$pending" ]; then
    # Said twice, since the first answer was lost.
    if [ -f "$last" ] && [ "$(record_value "$last" run) $(record_value "$last" nonce)" = "$1 $2" ]; then return 0; fi
    echo 'nothing waits for a confirmation here: the node has gone back to the release it had'
    return 1
  fi
  armed_by=$(record_value "$pending" run)
  if [ "$armed_by" != "$1" ]; then
    echo "the release here is run $armed_by's to confirm, not run $1's"
    return 1
  fi
  if [ "$(record_value "$pending" nonce)" != "$2" ]; then
    echo 'this is not the nonce that the node was given for this release'
    return 1
  fi
  if [ "$(now_ms)" -ge "$(record_value "$pending" deadline)" ]; then
    echo 'too late: the node goes back to the release it had'
    return 1
  fi
  forget_bad "$(record_value "$pending" to)"
  # With nothing left to wait for the dead-man ends by itself.
  mv -f "$pending" "$last"
  sync "$state"
}

# Digests that failed here, one a line: DIGEST, tab, RUN, tab, why. They are refused until the release changes, or by force.
note_bad() { # DIGEST RUN WHY
  forget_bad "$1"
  printf '%s\t%s\t%s\n' "$1" "$2" "$(printf '%s' "$3" | tr '\t\n' '  ' | cut -c 1-300)" >>"$state/bad"
}

forget_bad() { # DIGEST
  [ -f "$state/bad" ] || return 0
  awk -F '\t' -v digest="$1" '$1 != digest' "$state/bad" | tail -n 50 >"$state/bad.new"
  mv -f "$state/bad.new" "$state/bad"
}
