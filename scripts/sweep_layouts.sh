#!/usr/bin/env bash
# Trains the tests' toy on every factoring of 2, 3, 4, 6 and 8 ranks into data,
# tensor and pipeline, on threads and under mpirun, and compares each with one
# rank: with all that tests/cpp/train/layouts_test.cc crosses on 2 and 3 ranks,
# with every two choices of it on more, and with every pair of the choices of
# layouts_pairs_test.cc. Writes the table of pairs in docs/parallelism.md.
# scripts/test.sh runs a few of them.
#
#   scripts/sweep_layouts.sh pairs              every pair alone, and the table
#   scripts/sweep_layouts.sh [-R mpi] [...]     arguments are ctest's
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${VIRTUAL_ENV:-}" ]; then
  scripts/setup.sh --test
  # shellcheck disable=SC1091
  source .venv/bin/activate
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# More ranks than cores: a thread that waits would keep another from working.
export OMP_WAIT_POLICY=passive
build=${EISBACH_BUILD_DIR:-build/release}

cmake -S . -B "$build" -G Ninja -DEISBACH_BUILD_TESTS=ON
ninja -C "$build" train_layouts_pairs_test train_layouts_test \
  train_layouts_mpi_test
pairs=$(mktemp)
trap 'rm -f "$pairs"' EXIT
"$build/tests/cpp/train_layouts_pairs_test" --gtest_output="json:$pairs"
python scripts/pairs_table.py "$pairs"
[ "${1:-}" = pairs ] && exit
ctest --test-dir "$build" -C sweep -L sweep -j"$(nproc)" --output-on-failure \
  "$@"
