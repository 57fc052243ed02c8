# Packages, users and folders of a release. Its upstream version pins a package; the newest build of it that the archive has is taken.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# 5:8.0.2-3+deb13u1 is upstream 8.0.2; 2.53.3+ds1-2 is 2.53.3.
upstream_version() { printf '%s' "$1" | sed -e 's/^[0-9]*://' -e 's/-[^-]*$//' -e 's/[+~]\(ds\|dfsg\)[0-9.]*$//'; }

installed_version() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p'; }

# The builds that the archive has, newest first.
available_builds() { apt-cache madison "$1" | awk -F ' *[|] *' '{ print $2 }'; }

# NAME VERSION of every package of the release that is there.
package_versions() {
  # One question for all of them; of what was never there it says nothing.
  # shellcheck disable=SC2016 # dpkg's own variables
  manifest package | cut -f 2 | xargs -r dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\n' 2>/dev/null |
    sed -n 's/^installed //p'
}

# NAME, tab, VERSION of each package that is not there in the wanted version.
unmet_packages() {
  # A line of the manifest has a tab. What is there is compared as upstream_version has it.
  package_versions | awk -F '\t' '
    NF == 1 { split($0, is, " "); have[is[1]] = is[2]; next }
    $1 != "package" { next }
    $2 in have {
      upstream = have[$2]
      sub(/^[0-9]*:/, "", upstream); sub(/-[^-]*$/, "", upstream); sub(/[+~](ds|dfsg)[0-9.]*$/, "", upstream)
      if ($3 == "-" || $3 == upstream) next
    }
    { print $2 FS $3 }' - "$release/manifest"
}

# Prints PACKAGE=BUILD for each package that is not there in the wanted version.
wanted_packages() {
  unmet_packages | while IFS=$tab read -r name version; do
    build=
    for candidate in $(available_builds "$name"); do
      if [ "$version" = - ] || [ "$(upstream_version "$candidate")" = "$version" ]; then
        build=$candidate
        break
      fi
    done
    printf '%s=%s\n' "$name" "$build"
  done
}

# Of those, what is not there in any version.
missing_packages() {
  wanted_packages | while read -r each; do
    [ -n "$(installed_version "${each%%=*}")" ] || echo "$each"
  done
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold \
    -o Dpkg::Options::=--force-confdef -o APT::Update::Error-Mode=any "$@"
}

# A unit that has nothing of ours yet stays masked while its package is installed: Debian's packages start what they bring, with a
# configuration of their own. A mask, not a policy-rc.d, since it does no harm when this run dies here.
mask_new_units() {
  manifest unit | while IFS=$tab read -r _ unit; do
    # A unit file of ours in /etc is one that no package brings.
    if [ -f "$state/running/$unit" ] || manifest file | cut -f 2 | grep -qx "/etc/systemd/system/$unit.service"; then continue; fi
    # It says that there is no such unit, which is the point.
    systemctl mask --quiet "$unit.service" 2>/dev/null
  done
}

# find_builds LIST: sets `builds` to what LIST prints, with the archive's lists read anew where it has no build for one. Fails, and says
# which, when there is still none.
find_builds() {
  builds=$("$1")
  if printf '%s\n' "$builds" | grep -q '=$'; then
    # The archive's lists may be missing or old.
    apt update >/dev/null || apt update
    builds=$("$1")
  fi
  for each in $builds; do
    case $each in
      *=)
        name=${each%=}
        echo "no build of $name $(manifest package | awk -F '\t' -v n="$name" '$2 == n { print $3 }') in the archive; it has: $(available_builds "$name" | tr '\n' ' ')"
        return 1
        ;;
    esac
  done
}

# apt_install WORD...: what apt says is told only when it fails.
apt_install() {
  if ! log=$(apt install --no-install-recommends "$@" 2>&1); then
    printf '%s\n' "$log"
    return 1
  fi
}

# Everything in the wanted version. What is there in another one is upgraded.
install_packages() {
  find_builds wanted_packages
  [ -n "$builds" ] || return 0
  # shellcheck disable=SC2086 # a list of words
  apt_install --allow-downgrades $builds
  printf '%s\n' "$builds"
}

# Only what is not there: a node that serves, and all others with it at the same time, must not have anything replaced under it.
install_missing() {
  find_builds missing_packages
  [ -n "$builds" ] || return 0
  # shellcheck disable=SC2086 # a list of words
  if ! plan=$(apt install --simulate --no-upgrade --no-install-recommends $builds 2>&1); then
    printf '%s\n' "$plan"
    return 1
  fi
  # `Inst NAME [OLD] (NEW ...)` is an upgrade; a new package has no [OLD].
  touched=$(printf '%s\n' "$plan" | sed -n -e 's/^Inst \([^ ]*\) \[\([^]]*\)\] (\([^ ]*\).*/\1 \2 becomes \3/p' -e 's/^Remv \([^ ]*\).*/\1 is removed/p')
  if [ -n "$touched" ]; then
    echo "installing $(printf '%s' "$builds" | tr '\n' ' ') would change packages that this node serves with, so nothing was installed: $(printf '%s' "$touched" | tr '\n' ',' | sed 's/,/, /g'). Bring these to the wanted versions on the node by hand, one node at a time"
    return 1
  fi
  # shellcheck disable=SC2086 # a list of words
  apt_install --no-upgrade --no-remove $builds
  printf '%s\n' "$builds"
}

refuse_foreign_policy() {
  if { [ -e "$policy" ] || [ -L "$policy" ]; } && ! is_policy_ours; then
    echo "$policy is there and is not ours; packages can't be upgraded without it being replaced. Remove it, then run again"
    return 1
  fi
}

# As install_packages, on the way to a release of earlier: what the archive does not have any more stays as it is, which is said.
install_available() {
  wanted=$(wanted_packages)
  builds=$(printf '%s\n' "$wanted" | grep -v '=$' || true)
  # shellcheck disable=SC2086 # a list of words
  [ -z "$builds" ] || apt_install --allow-downgrades $builds
  printf '%s\n' "$wanted" | sed -n 's/=$//p' | while read -r name; do echo "$name stays $(installed_version "$name")"; done
}

# quietly COMMAND...: maintainer scripts must not restart what we restart in our own time.
quietly() {
  refuse_foreign_policy
  printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" >"$policy.firedrill-new"
  chmod 755 "$policy.firedrill-new"
  mv -f "$policy.firedrill-new" "$policy"
  trap 'rm -f "$policy"' EXIT
  "$@"
  rm -f "$policy"
}

upgrade_packages() { quietly install_packages; }

# restore_packages RECORD: the builds that its lines `package NAME VERSION` name, as far as the archive has them. Prints what stays as it
# is. Never fails: the files of the earlier release matter more.
restore_packages() {
  back='' stay=''
  while IFS=$tab read -r _ name version; do
    have=$(installed_version "$name")
    if [ "$have" = "$version" ]; then continue; fi
    if available_builds "$name" | grep -qxF "$version"; then back="$back $name=$version"; else stay="$stay $name $have"; fi
  done <<LIST
$(awk -F '\t' '$1 == "package"' "$1")
LIST
  # shellcheck disable=SC2086 # a list of words
  if [ -n "$back" ] && ! said=$(quietly apt_install --allow-downgrades $back 2>&1); then
    stay="$stay (not taken back:$back, $(printf '%s' "$said" | tail -n 1))"
  fi
  if [ -n "$stay" ]; then printf '; packages stay:%s' "$stay"; fi
}

make_users() {
  manifest group | while IFS=$tab read -r _ name; do
    getent group "$name" >/dev/null || groupadd --system "$name"
  done
  manifest user | while IFS=$tab read -r _ name group home; do
    getent passwd "$name" >/dev/null ||
      useradd --system --gid "$group" --home-dir "$home" --no-create-home --shell /usr/sbin/nologin "$name"
  done
  manifest dir | while IFS=$tab read -r _ path mode owner group; do
    install -d -m "$mode" -o "$owner" -g "$group" "$path"
  done
}
