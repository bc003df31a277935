#!/usr/bin/env bash
# Damages every file that a run reads, in more than 150 ways, and checks that
# each is answered by one line that names file and fault, in time, with an exit
# code, and with no process left. Prints a table; see scripts/damage/__main__.py.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck disable=SC1091
source .venv/bin/activate
cd scripts
exec python -m damage "$@"
