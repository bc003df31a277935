#!/usr/bin/env bash
# Installs into .venv what the CUDA plug-in is built with and runs on: NVIDIA's
# compiler, headers and libraries, 2.2 GB. No driver and no GPU is needed.
set -euo pipefail
cd "$(dirname "$0")/.."

# One release of CUDA: a cubin of a newer one does not load on an older driver.
# Without dependencies, as cudnn-frontend asks for half a gigabyte of Python
# that its headers do not need.
packages=(
  "nvidia-cuda-runtime==13.0.*" "nvidia-cuda-nvrtc==13.0.*"
  "nvidia-cuda-nvcc==13.0.*" "nvidia-cuda-crt==13.0.*" "nvidia-nvvm==13.0.*"
  "nvidia-cuda-cccl==13.0.*" "nvidia-nvml-dev==13.0.*"
  "nvidia-cublas>=13.1,<13.2" "nvidia-cudnn-cu13>=9.28,<10"
  "nvidia-nccl-cu13>=2.32,<3" "nvidia-cudnn-frontend>=1.32,<2"
  nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm
)
stamp=.venv/cuda-packages
wanted="${packages[*]}"
[ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && exit 0
printf '\033[1m==> Installing CUDA (2.2 GB)\033[0m\n'
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps \
  "${packages[@]}"
echo "$wanted" >$stamp
