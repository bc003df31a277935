#!/usr/bin/env bash
# From a bare Debian 12 or Ubuntu 24.04 machine to a trained model: sets
# everything up, then trains a small GPT on the source of Python's standard
# library, with two ranks. Arguments go to `eisbach train`:
#
#   ./scripts/quickstart.sh train.steps=100
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
# shellcheck disable=SC1091
source .venv/bin/activate
exec mpirun -n 2 eisbach train configs/gpt_bytes.yaml "$@"
