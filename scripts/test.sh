#!/usr/bin/env bash
# Sets up what the tests need and runs all of them: layering, style, C++ (unit
# and mpirun), Python. `scripts/test.sh -R layouts` passes arguments to ctest
# and runs the C++ tests alone.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --test
# shellcheck disable=SC1091
source .venv/bin/activate
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros
# Several programs share the cores, so threads that wait give theirs up.
export OMP_WAIT_POLICY=passive
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

say "Checking the structure"
python scripts/check_layers.py
python scripts/check_mirror.py

say "Building the C++ tests"
cmake --build build/release

say "Running the C++ tests"
# Those of the GPU are scripts/test_cuda.sh.
ctest --test-dir build/release -j3 -LE '^(cuda.*|gpu)$' --output-on-failure "$@"
[ $# -gt 0 ] && exit 0

say "Running the Python tests"
# Most of them wait: for ranks to start, for signals, for files.
python -m pytest -q -n 3 --dist worksteal
