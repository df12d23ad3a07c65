#!/usr/bin/env bash
# Feeds every parser with what strangers could send: first the seeds and the inputs that once broke
# something, then a fixed number of mutations of them. What breaks a parser is left in
# build-fuzz/findings; make it small (build-fuzz/tests/fuzz/fuzz_NAME -minimize_crash=1 FILE), commit
# it under tests/fuzz/seeds/NAME and write a unit test.
#
#   bash tests/fuzz/run.sh                    20,000 mutations a parser
#   bash tests/fuzz/run.sh 1000000 gguf       a million of one parser's
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

mutations=${1:-20000}
shift || true
targets=("$@")
if [[ ${#targets[@]} -eq 0 ]]; then
  mapfile -t targets < <(cd tests/fuzz/seeds && ls)
fi

# A run file's libhdf5 begins at tens of kilobytes; the others' seeds are small.
longest_input() {
  case $1 in
    run_file | run_plan) echo 131072 ;;
    *) echo 4096 ;;
  esac
}

run_target() {
  local target=$1 log=build-fuzz/$1.log
  shift
  if ! "build-fuzz/tests/fuzz/fuzz_$target" -timeout=5 -rss_limit_mb=1024 \
    -artifact_prefix=build-fuzz/findings/ "$@" "tests/fuzz/seeds/$target" &>"$log"; then
    tail -n 40 "$log" >&2
    echo "run.sh: $target broke; the input is in build-fuzz/findings, all that it said in $log" >&2
    exit 1
  fi
}

fuzz() {
  local target=$1 corpus
  corpus=$(mktemp --directory build-fuzz/corpus.XXXXXX)
  run_target "$target" -runs=0
  run_target "$target" -runs="$mutations" -seed=1 -max_len="$(longest_input "$target")" \
    -print_final_stats=1 "$corpus"
  awk -v target="$target" '/number_of_executed_units/ {runs = $2} /average_exec_per_sec/ {rate = $2}
    /peak_rss_mb/ {memory = $2}
    $2 == "DONE" {coverage = $4}
    END {printf "%-14s %8d inputs  %6d /s  %4d MiB  %5d edges\n", target, runs, rate, memory, coverage}' \
    "build-fuzz/$target.log"
  rm -r "$corpus"
}

cmake --preset fuzz
cmake --build --preset fuzz
# A run file is read from the disk: one in memory is three times as fast.
if [[ -w /dev/shm ]]; then export TMPDIR=/dev/shm; fi
export LSAN_OPTIONS=suppressions=tests/support/leaks_of_others.txt:print_suppressions=0
mkdir -p build-fuzz/findings
for target in "${targets[@]}"; do
  fuzz "$target"
done
