# Packages, users and folders of a release. Its upstream version pins a package; the newest build of it that the archive has is taken.
# shellcheck shell=sh disable=SC2154 # state and tab are lib.sh's; here and release the caller's

# 5:8.0.2-3+deb13u1 is upstream 8.0.2; 2.53.3+ds1-2 is 2.53.3.
upstream_version() { printf '%s' "$1" | sed -e 's/^[0-9]*://' -e 's/-[^-]*$//' -e 's/[+~]\(ds\|dfsg\)[0-9.]*$//'; }

installed_version() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null | sed -n 's/^installed //p'; }

# The builds that the archive has, newest first.
available_builds() { apt-cache madison "$1" | awk -F ' *[|] *' '{ print $2 }'; }

# Prints PACKAGE=BUILD for each package that is not there in the wanted version.
wanted_packages() {
  manifest package | while IFS=$tab read -r _ name version; do
    have=$(installed_version "$name")
    if [ -n "$have" ] && { [ "$version" = - ] || [ "$(upstream_version "$have")" = "$version" ]; }; then continue; fi
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

install_packages() {
  missing=$(wanted_packages)
  [ -n "$missing" ] || return 0
  if printf '%s\n' "$missing" | grep -q '=$'; then
    # The archive's lists may be missing or old.
    apt update >/dev/null || apt update
    missing=$(wanted_packages)
  fi
  for each in $missing; do
    case $each in
      *=)
        name=${each%=}
        echo "no build of $name $(manifest package | awk -F '\t' -v n="$name" '$2 == n { print $3 }') in the archive; it has: $(available_builds "$name" | tr '\n' ' ')"
        return 1
        ;;
    esac
  done
  # shellcheck disable=SC2086 # a list of words
  if ! log=$(apt install --no-install-recommends $missing 2>&1); then
    printf '%s\n' "$log"
    return 1
  fi
  printf '%s\n' "$missing"
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
