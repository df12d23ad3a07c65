#!/usr/bin/env bash
# Beside what pack.sh wrote, on a machine with an NVIDIA GPU and the CUDA Toolkit's libraries:
# unpacks it and takes steps, each within its own time. All go on after a failure; a table of how
# they ended comes last, and what they said is in FOUND (default: ./found).
#
#   bash run_packed.sh STEP...      FOUND=folder in the environment
#
#   suites           the CUDA tests of every room, and of the command line
#   runs             divided, resumed and killed runs, which must end with the same bytes
#   memcheck, racecheck, initcheck, synccheck   compute-sanitizer's, of the operations in f32
#   bench SIZE LAYERS OPTION...     one step by itself: `longshadow bench` on a model of random
#                                   weights (random_model.py), with the options given
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
found=$(realpath -m "${FOUND:-found}")
unpacked=${TMPDIR:-/tmp}/longshadow
mkdir -p "$found"

if [[ ! -d $unpacked ]]; then
  mkdir -p "$unpacked"
  tar -C "$unpacked" -xJf "$here/pack.tar.xz"
  root=$(cat "$unpacked/root")
  mkdir -p "${root%/*}"
  [[ -e $root ]] || ln -s "$unpacked/source" "$root"
fi
export LD_LIBRARY_PATH=$unpacked/lib:${LD_LIBRARY_PATH:-}:/usr/local/cuda/lib64
export PATH=$PATH:/usr/local/cuda/bin

# Runs a command for at most so many seconds, shows its end, and keeps all that it said.
step() {
  local name=$1 seconds=$2 status=0 begin=$SECONDS
  shift 2
  timeout "$seconds" "$@" &>"$found/$name.log" || status=$?
  printf '\n== %s\n' "$name"
  tail -n "${SHOWN:-6}" "$found/$name.log"
  table+=$(printf '%-28s status %3d  %4d s' "$name" "$status" $((SECONDS - begin)))$'\n'
}

suites() {
  local room
  for room in cuda kv model ops probes; do
    step "test_$room" 120 "$unpacked/test_$room" '[host_cuda],*Cuda*'
  done
  step command_line 120 python3 "$unpacked/source/tests/probes/device_cli_test.py" \
    "$unpacked/longshadow"
}

runs() {
  local tests=$unpacked/source/tests/probes
  step divided_runs 240 python3 "$tests/run_cli_test.py" "$unpacked/longshadow" \
    Divided.test_any_division_threads_and_memory_give_the_same_bytes
  step killed_runs 240 python3 "$tests/kill_test.py" "$unpacked/longshadow" --kills 24 --seed 7 \
    --until 1 Killed.test_a_probe
}

bench() {
  local size=$1 layers=$2 model
  shift 2
  model=$unpacked/model-$size-$layers
  [[ -d $model ]] ||
    step "model-$size-$layers" 120 \
      python3 "$unpacked/source/tests/device/random_model.py" "$model" "$size" "$layers"
  SHOWN=8 step "bench-$size-$layers${*:+-}$(tr -cd 'a-z0-9-' <<<"$*")" 200 \
    "$unpacked/longshadow" bench --device cuda --model "$model" "$@"
}

table=
step gpu 20 nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
case ${1:-} in
  bench) bench "${@:2}" ;;
  *)
    for name in "$@"; do
      case $name in
        suites | runs) "$name" ;;
        memcheck | racecheck | initcheck | synccheck)
          step "$name" 240 compute-sanitizer --tool "$name" --error-exitcode 1 \
            "$unpacked/test_ops" '*CudaF32*'
          ;;
        *)
          echo "run_packed.sh: there is no step $name" >&2
          exit 2
          ;;
      esac
    done
    ;;
esac
printf '\n%s' "$table"
if grep -qv 'status   0' <<<"${table%$'\n'}"; then exit 1; fi
