#!/usr/bin/env bash
# 200 signals to jobs of 1 to 8 ranks at random moments: none may hang, leave a
# process, or end with a status that says something else.
#
#   scripts/signals.sh [--trials 200] [--seed 1] [--parallel 2] [--only N]
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck disable=SC1091
source .venv/bin/activate
exec python scripts/signals.py "$@"
