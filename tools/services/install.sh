#!/usr/bin/env bash
# Installs the servers that suites talk to, where Debian's packages can be installed: quiet, and nothing
# to do the second time. Suites whose server is still missing are skipped, or fail under REQUIRE_SERVICES=1.
set -euo pipefail

main() {
  missing=()
  need prometheus-alertmanager prometheus-alertmanager alertmanager
  need redis-server redis-server valkey-server
  need prometheus promtool
  need valgrind valgrind
  if [ "${#missing[@]}" -eq 0 ]; then return; fi
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "please install: ${missing[*]}"
    return
  fi
  echo "installing ${missing[*]}"
  # A package's server would start by itself otherwise, and take its usual port.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  quietly apt-get update
  quietly apt-get install -y --no-install-recommends "${missing[@]}"
}

# need PACKAGE PROGRAM…: the package is missing when none of the programs is there.
need() {
  local package=$1 program
  shift
  for program in "$@"; do
    if PATH=$PATH:/usr/sbin command -v "$program" >/dev/null; then return; fi
  done
  missing+=("$package")
}

quietly() {
  local output
  if ! output=$("$@" 2>&1); then
    echo "$output"
    return 1
  fi
}

main
