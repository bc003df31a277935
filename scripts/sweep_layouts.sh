#!/usr/bin/env bash
# Trains the tests' toy on every factoring of 2, 3, 4, 6 and 8 ranks into data,
# tensor and pipeline, with both schedules, both optimizers, both families and
# in bf16, on threads and under mpirun, and compares each with one rank. Takes
# about a quarter of an hour on two cores; scripts/test.sh runs a few of them.
#
#   scripts/sweep_layouts.sh [-R mpi] [...]     arguments are ctest's
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -z "${VIRTUAL_ENV:-}" ]; then
  scripts/setup.sh --test
  # shellcheck disable=SC1091
  source .venv/bin/activate
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
build=${EISBACH_BUILD_DIR:-build/release}

cmake -S . -B "$build" -G Ninja -DEISBACH_BUILD_TESTS=ON
ninja -C "$build" train_layouts_test train_layouts_mpi_test
ctest --test-dir "$build" -C sweep -L sweep --output-on-failure "$@"
