#!/bin/sh
# Runs the reference's programs on this node, beside ours and without touching them. Each ends by itself when nobody ends it.
# Usage:
#   node.sh start redis|sentinel SECONDS CONFIGURATION   the configuration in base64; ends after SECONDS
#   node.sh kill|hang                                    what happens to its Redis; it stays so
#   node.sh cut SECONDS ADDRESS...                       drops the reference's packets from and to them, for SECONDS at most
#   node.sh mend                                         undoes hang and cut
#   node.sh stop                                         nothing of the reference is left; safe to repeat
# A fault prints "now" right before it takes effect.
set -eu

name=firedrill-reference
ports='16379, 36379'

action=$1
shift

pid() {
  systemctl show --property MainPID --value "$name-redis"
}

uncut() {
  systemctl stop "$name-uncut.timer" 2> /dev/null || true
  nft delete table inet firedrill_reference 2> /dev/null || true
}

case $action in
  start)
    kind=$1 seconds=$2 configuration=$3
    folder=/var/lib/$name-$kind
    rm -rf "$folder"
    install -d -o redis -g redis -m 0700 "$folder"
    printf %s "$configuration" | base64 -d > "$folder/$kind.conf"
    echo "dir $folder" >> "$folder/$kind.conf"
    chown redis:redis "$folder/$kind.conf"
    systemd-run --quiet --collect --unit="$name-$kind" --uid=redis --gid=redis --property=LimitNOFILE=65535 \
      --property=RuntimeMaxSec="$seconds" --property=ExecStopPost="+/bin/rm -rf $folder" \
      "/usr/bin/redis-$([ "$kind" = redis ] && echo server || echo sentinel)" "$folder/$kind.conf"
    ;;
  kill | hang)
    main=$(pid)
    [ "$main" -gt 1 ] || { echo 'node.sh: the reference has no Redis here' >&2; exit 1; }
    echo now
    kill -s "$([ "$action" = kill ] && echo KILL || echo STOP)" "$main"
    ;;
  cut)
    seconds=$1
    shift
    peers=$(printf '%s, ' "$@")
    systemd-run --quiet --collect --unit="$name-uncut" --on-active="$seconds" --timer-property=AccuracySec=100ms \
      /usr/sbin/nft delete table inet firedrill_reference
    # side HOOK ADDRESS-OF: a chain that drops both directions of the reference's connections
    side() {
      printf 'chain %s { type filter hook %s priority -300\n' "$1" "$1"
      printf 'ip %s { %s } tcp %s { %s } drop\n' "$2" "${peers%, }" sport "$ports" "$2" "${peers%, }" dport "$ports"
      printf '}\n'
    }
    rules="$(side input saddr)
$(side output daddr)"
    echo now
    printf 'table inet firedrill_reference {\n%s\n}\n' "$rules" | nft -f -
    ;;
  mend)
    uncut
    main=$(pid)
    [ "$main" -le 1 ] || kill -s CONT "$main"
    ;;
  stop)
    uncut
    for kind in redis sentinel; do
      systemctl kill --kill-whom=main --signal=KILL "$name-$kind" 2> /dev/null || true
      systemctl stop "$name-$kind" 2> /dev/null || true
      rm -rf "/var/lib/$name-$kind"
    done
    ;;
  *)
    echo "node.sh: unknown action: $action" >&2
    exit 2
    ;;
esac
