#!/usr/bin/env bash
# Everything about GPUs that a machine without one can check, and what it can
# not, said in words: builds the CUDA plug-in for all targets, runs its kernels
# and the whole backend on an emulated GPU, plans cuDNN's attention, and builds
# core and plug-in for aarch64 and tests the core's parts. Then the tests that
# need a GPU, which do not run where none is.
#
#   scripts/test_cuda.sh           # all of it
#   scripts/test_cuda.sh build     # one stage: build, binary, emulated,
#                                  # sanitizers, training, plans, aarch64, gpu
#
# Needs what `scripts/test.sh` has set up, and 2.2 GB for NVIDIA's packages.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh --test
scripts/cuda_packages.sh
# shellcheck disable=SC1091
source .venv/bin/activate
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros
# Several programs share the cores, so threads that wait give theirs up.
export OMP_WAIT_POLICY=passive
build=build/release
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
tests() {
  ctest --test-dir $build --output-on-failure --no-tests=error "$@"
}

build() {
  say "Building the CUDA plug-in for A100, H100, Blackwell, and its emulation"
  cmake -S . -B $build -DEISBACH_BUILD_TESTS=ON -DEISBACH_CUDA=ON \
    -DEISBACH_CUDA_EMULATION=ON >/dev/null
  cmake --build $build | { grep -vE '^\[' || true; }
}

binary() {
  say "Checking the GPU's machine code"
  python scripts/check_cuda_binary.py $build/csrc/libeisbach_cuda.so
}

emulated() {
  say "Running the backend on the emulated GPU"
  tests -j2 -L '^cuda$' -E cudnn_plans
}

sanitizers() {
  say "Running the kernels under ASan, UBSan and TSan"
  tests -j2 -L '^cuda_(asan|tsan)$'
}

training() {
  say "Training on emulated GPUs"
  EISBACH_CUDA_LIBRARY="$PWD/$build/csrc/libeisbach_cuda_emulated.so" \
    python -m pytest -q -n 2 tests/cuda
}

plans() {
  say "Planning attention with cuDNN for GPUs that are not here"
  tests -j2 -R cudnn_plans
}

aarch64() {
  say "Building and testing for aarch64"
  scripts/test_aarch64.sh --quick
}

gpu() {
  say "Running the tests that need a GPU"
  local log
  log="$(mktemp)"
  tests -L '^gpu$' | tee "$log"
  if grep -q '\*\*\*Skipped' "$log"; then
    say "$(grep -c '\*\*\*Skipped' "$log") tests of the GPU did NOT run: none is here"
  fi
  rm -f "$log"
}

for stage in "${@:-build binary emulated sanitizers training plans aarch64 gpu}"
do
  for each in $stage; do
    SECONDS=0
    $each
    say "$each: $SECONDS s"
  done
done
