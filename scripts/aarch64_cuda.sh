#!/usr/bin/env bash
# Makes a folder with what the CUDA plug-in links to on aarch64: FOLDER/lib,
# stubs with the names and symbols of this machine's libraries of NVIDIA, which
# serve the link alone, or FOLDER/nvidia, the libraries themselves from
# NVIDIA's wheels (1.5 GB to download, 2.1 GB unpacked).
#
#   scripts/aarch64_cuda.sh FOLDER PYTHON stubs|wheels
#
# PYTHON has what scripts/cuda_packages.sh installs, whose versions the wheels
# for aarch64 follow. Does not download them again.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(realpath -m "$1")
python=$2
kind=$3
wheels=(nvidia-cuda-runtime nvidia-cuda-nvrtc nvidia-cublas nvidia-cudnn-cu13
        nvidia-nccl-cu13)

if [ "$kind" = stubs ]; then
  nvidia=$("$python" -c \
    'import sysconfig; print(sysconfig.get_path("purelib") + "/nvidia")')
  "$python" scripts/link_stubs.py "$folder/lib" aarch64-linux-gnu-g++ \
    "$nvidia"/cu13/lib/lib{cudart,cublasLt,nvrtc}.so.13 \
    "$nvidia/cudnn/lib/libcudnn.so.9" "$nvidia/nccl/lib/libnccl.so.2"
  exit
fi

mapfile -t wanted < <("$python" -c 'import sys
from importlib.metadata import version
for name in sys.argv[1:]: print(f"{name}=={version(name)}")' "${wheels[@]}")
[ "$(cat "$folder/.made-of" 2>/dev/null)" = "${wanted[*]}" ] && exit
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download -q --disable-pip-version-check --no-deps \
  --only-binary=:all: --platform manylinux2014_aarch64 \
  --platform manylinux_2_27_aarch64 -d "$work" "${wanted[@]}"
rm -rf "$folder"
mkdir -p "$folder"
for wheel in "$work"/*.whl; do
  "$python" -m zipfile -e "$wheel" "$folder"
  rm "$wheel"
done
echo "${wanted[*]}" >"$folder/.made-of"
