#!/usr/bin/env bash
# Fetches NVIDIA's compiler for CUDA from PyPI into build/nvcc, which Debian's main section does not
# have: what compiles kernels, without cuBLAS and without a driver. Where it is, nothing is fetched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

packages=(
  nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
)
folder=build/nvcc

if [[ "$(cat "$folder/packages" 2>/dev/null)" != "${packages[*]}" ]]; then
  rm -rf "$folder"
  python3 -m venv "$folder/venv"
  "$folder/venv/bin/python3" -m pip install --quiet --disable-pip-version-check \
    --no-deps --target "$folder" "${packages[@]}"
  rm -r "$folder/venv"
  echo "${packages[*]}" >"$folder/packages"
fi
"$folder/nvidia/cu13/bin/nvcc" --version | tail -2
