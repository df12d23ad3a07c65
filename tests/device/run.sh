#!/usr/bin/env bash
# On a machine with an NVIDIA GPU: builds for it, runs the CUDA suites on it, has compute-sanitizer
# look at every kernel, and times Longshadow beside a PyTorch loop. Everything goes on after a
# failure, so that one visit to such a machine tells all; what was found is in
# build-cuda/device.json.
#
#   bash tests/device/run.sh           any options of tests/bench/bench.py, such as --quick
#
# Needs the CUDA Toolkit (nvcc, cuBLAS, compute-sanitizer) and a driver; the rest is fetched.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly found=build-cuda/device
failed=0

# Runs a command, shows its end, and keeps all that it said and its exit status.
step() {
  local name=$1 status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" &>"$found/$name.log" || status=$?
  tail -n 5 "$found/$name.log"
  echo "$status" >"$found/$name.status"
  if ((status != 0)); then failed=1; fi
}

for tool in nvidia-smi nvcc compute-sanitizer; do
  if ! command -v "$tool" >/dev/null; then
    echo "run.sh: expected a GPU's driver and the CUDA Toolkit on PATH, found no $tool" >&2
    exit 1
  fi
done

set -e
bash data/fetch_packages.sh
bash data/fetch_model.sh
cmake --preset cuda
cmake --build --preset cuda
rm -rf "$found"
mkdir -p "$found"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader >"$found/gpu.txt"
set +e

step suites ctest --preset cuda
for tool in memcheck racecheck initcheck synccheck; do
  step "$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 \
    build-cuda/tests/test_ops '*Cuda*'
done
step bench bash tests/bench/run.sh --longshadow build-cuda/longshadow --device cuda \
  --precision f32,bf16 --output build-cuda/bench "$@"

python3 tests/device/collect.py "$found" build-cuda/bench/bench.json build-cuda/device.json
exit "$failed"
