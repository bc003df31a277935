#!/usr/bin/env bash
# Breaks running jobs at random moments for a while: kills, stops, signals, bit
# flips in checkpoints, full disks. Every run must end with the losses and the
# weights of one that nobody broke; see scripts/torture/__main__.py.
#
#   scripts/torture.sh [--minutes 20] [--seed 1] [--steps 300] [--faults 4] [--only N]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck disable=SC1091
source .venv/bin/activate
cd scripts
exec python -m torture "$@"
