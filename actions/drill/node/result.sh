#!/bin/sh
# Leaves the result of a drill for this machine's node exporter, so that a drill that failed or is overdue is an alert.
# Usage: result.sh 1|0 SECONDS    ok or not, and when it ended (since 1970)
set -eu

folder=/var/lib/prometheus/node-exporter
for word in "$@"; do
  case $word in
    '' | *[!0-9]*) echo "result.sh: not a number: $word" >&2; exit 2 ;;
  esac
done
[ -d "$folder" ] || exit 0
cat > "$folder/firedrill.prom.new" << END
# HELP firedrill_drill_ok Whether the last failover drill passed.
# TYPE firedrill_drill_ok gauge
firedrill_drill_ok $1
# HELP firedrill_drill_finished_timestamp_seconds When the last failover drill ended.
# TYPE firedrill_drill_finished_timestamp_seconds gauge
firedrill_drill_finished_timestamp_seconds $2
END
chmod 644 "$folder/firedrill.prom.new"
mv -f "$folder/firedrill.prom.new" "$folder/firedrill.prom"
