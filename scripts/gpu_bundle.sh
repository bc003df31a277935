#!/usr/bin/env bash
# Packs what a machine with a GPU needs to test Eisbach and lacks: the core, the
# CUDA plug-in, the tests with the label `gpu`, a benchmark, Open MPI, and every
# shared library that is not the system's or NVIDIA's. Such a machine needs no
# internet: a driver for CUDA 13, Python 3.9 or newer with NVIDIA's wheels, and
# for the comparison PyTorch. On it: ./run_on_gpu.sh
#
#   scripts/gpu_bundle.sh                    # build/gpu_bundle and .tar.gz
#   scripts/gpu_bundle.sh --no-build DIR     # what build/release has, into DIR
#
# No Python module of ours is packed: it would be for this machine's Python.
set -euo pipefail
cd "$(dirname "$0")/.."

most=$((60 * 1024 * 1024))  # bytes of the folder
build=build/release
want_build=yes
if [ "${1:-}" = --no-build ]; then want_build=no; shift; fi
case "${1:-}" in -*)
  echo "gpu_bundle.sh: unknown argument $1; there is --no-build" >&2
  exit 2 ;;
esac
target="$(realpath -m "${1:-build/gpu_bundle}")"
bundle="$target.part"
say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() { echo "gpu_bundle.sh: $*" >&2; exit 1; }

if [ -e "$target" ] && [ ! -e "$target/bundle.json" ]; then
  die "$target is there and is no bundle; name another folder"
fi
if [ $want_build = yes ]; then
  scripts/setup.sh --test
  scripts/cuda_packages.sh
fi
# shellcheck disable=SC1091
source .venv/bin/activate
if [ $want_build = yes ]; then
  say "Building core, plug-in and tests of the GPU"
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1
  export CCACHE_SLOPPINESS=pch_defines,time_macros
  cmake -S . -B $build -DEISBACH_BUILD_TESTS=ON -DEISBACH_CUDA=ON >/dev/null
  cmake --build $build --target eisbach eisbach_cuda eisbach_gpu_tests \
    train_gpu | { grep -vE '^\[' || true; }
fi
manifest() { PYTHONPATH=scripts python -m gpu.manifest "$build" "$@"; }
core=$build/csrc/libeisbach.so plugin=$build/csrc/libeisbach_cuda.so
[ -e $plugin ] || die "$plugin is not there; build it, without --no-build"

say "Packing $target"
programs="$(manifest)" || die "the tests of the GPU are not built"
rm -rf "$bundle"
mkdir -p "$bundle"/{bin,lib/openmpi,peers}
for program in $programs; do
  cp -P "$build/tests/cpp/$program" "$bundle/bin/"
  # Most are links to a program that several share.
  cp "$(realpath "$build/tests/cpp/$program")" "$bundle/bin/"
done
cp $build/benchmarks/train_gpu "$bundle/bin/"
cp .venv/bin/{mpirun,ompirun_wrapper,prterun,prte,prted} "$bundle/bin/"
cp -r .venv/etc .venv/share "$bundle/"
rm -rf "$bundle"/share/{doc,man}
cp $core $plugin "$bundle/lib/"
cp -rL .venv/lib/openmpi/*.so* "$bundle/lib/openmpi/"

# A library that no folder of the loader has is an error of ldd's, `not found`;
# those of the C and C++ compilers are the target's own.
system='^(ld-linux.*|lib(c|m|dl|rt|util|pthread|resolv|gcc_s|stdc\+\+))\.so\.'
needed="$(LD_LIBRARY_PATH=.venv/lib:.venv/lib/openmpi ldd "$bundle"/bin/* \
  "$bundle"/lib/*.so "$bundle"/lib/openmpi/*.so* | awk '/=>/ {print $1, $3}' |
  sort -u)"
while read -r name path; do
  if [[ "$name" =~ $system || "$path" = */nvidia/* ]]; then continue; fi
  [ "$path" != not ] || die "$name is not on this machine"
  [ -e "$bundle/lib/$name" ] || [ -e "$bundle/lib/openmpi/$name" ] ||
    cp -L "$path" "$bundle/lib/$name"
done <<<"$needed"
# Where libraries lie on this machine is no affair of another.
cmake -P /dev/stdin >/dev/null 2>&1 <<END
file(GLOB files $bundle/bin/*_test $bundle/bin/*_tests_*
     $bundle/bin/train_gpu $bundle/lib/libeisbach*)
foreach(file IN LISTS files)
  if(NOT IS_SYMLINK \${file})
    file(RPATH_REMOVE FILE \${file})
  endif()
endforeach()
END
find "$bundle/bin" "$bundle/lib" -type f -exec strip --strip-unneeded {} +

cp scripts/gpu/run_on_gpu.sh "$bundle/"
mkdir "$bundle/gpu"
cp scripts/gpu/*.py "$bundle/gpu/"
rm "$bundle/gpu/manifest.py"
cp benchmarks/peers/torch_gpt.py "$bundle/peers/"
manifest "$bundle"
# run_on_gpu.sh unpacks them, so that the folder travels quickly.
find "$bundle/lib" -maxdepth 1 -type f -size +16M -exec gzip -9 {} +

bytes="$(du -sb "$bundle" | cut -f1)"
if [ "$bytes" -gt $most ]; then
  du -ab "$bundle" | sort -rn | sed -n 2,12p >&2
  die "$target would have $bytes bytes, over $most"
fi
rm -rf "$target"
mv "$bundle" "$target"
tar -C "$(dirname "$target")" -czf "$target.tar.gz" "$(basename "$target")"
say "$target: $((bytes / 1024 / 1024)) MiB, packed" \
    "$(($(stat -c %s "$target.tar.gz") / 1024 / 1024)) MiB; on the machine" \
    "with the GPU: ./run_on_gpu.sh"
