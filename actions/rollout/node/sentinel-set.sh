#!/bin/sh
# sentinel-set.sh FILE REDIS_CLI_ARGUMENTS...: every line `MASTER OPTION VALUE` of the file by SENTINEL SET. Prints the lines that
# Sentinel refuses, with its answer, and fails then.
set -eu
file=$1
shift
failed=0
# Standard input of redis-cli must not be the file.
while read -r master option value || [ -n "$master" ]; do
  case $master in '' | '#'*) continue ;; esac
  answer=$(timeout 2 redis-cli "$@" SENTINEL SET "$master" "$option" "$value" 2>&1 </dev/null) || true
  if [ "$answer" != OK ]; then
    echo "SENTINEL SET $master $option $value: ${answer:-no answer in 2 s}"
    failed=1
  fi
done <"$file"
exit "$failed"
