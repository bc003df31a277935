#!/usr/bin/env bash
# Runs this bundle on the GPU of this machine; run_on_gpu.sh --help tells more.
# PYTHON is the one whose packages have NVIDIA's libraries and PyTorch.
set -euo pipefail
cd "$(dirname "$0")"
exec "${PYTHON:-python3}" -m gpu "$@"
