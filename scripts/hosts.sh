#!/usr/bin/env bash
# Breaks the network between two hosts, and hosts, under running jobs: cables
# pulled, blips, lost packets, hosts frozen and gone, launchers killed. Each must
# be named and recovered from; see scripts/hosts/__main__.py. As root; installs
# what it needs.
#
#   scripts/hosts.sh [--only WORDS]...
set -euo pipefail
cd "$(dirname "$0")/.."
command -v ip >/dev/null || {
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends iproute2 >/dev/null
}
# shellcheck disable=SC1091
source .venv/bin/activate
cd scripts
exec python -m hosts "$@"
