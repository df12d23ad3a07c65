#!/usr/bin/env bash
# Measures the study of results.md on ten documents, and analyses it. Stopped, it goes on where it was.
#
#   bash notebooks/study/run.sh DOCUMENTS OUTPUT          about an hour on two cores
#   bash notebooks/study/run.sh DOCUMENTS OUTPUT --quick  three documents, 8 tokens a group: minutes
#
# DOCUMENTS is a folder of texts. From the environment: LONGSHADOW (build/longshadow) measures, with
# PRECISION (bf16: errors of 1%, README.md), LAG_GROUP and END_GROUP (64) tokens of each kind.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
texts=${1:?expected a folder of texts}
output=${2:?expected a folder to write to}
longshadow=${LONGSHADOW:-$root/build/longshadow}
precision=${PRECISION:-bf16}
lag_group=${LAG_GROUP:-64}
end_group=${END_GROUP:-64}

documents=(lomb_scargle russell_problems proteomics_tutorial nist_sp800_63b darwin_origin_ch4
           tuning_playbook deep_review mill_on_liberty_ch2 scipy_paper derisking_budgeting)
if [[ ${3:-} == --quick ]]; then
  documents=("${documents[@]:0:3}")
  lag_group=8 end_group=8
fi

# Six ways to choose N single tokens, one of them by attention as the cache's owner knows it.
each() {  # N ATTENTION
  local chosen=each:random:$1 signal
  for signal in entropy-before -entropy-before entropy-at drift "$2"; do
    chosen+=+each:$signal:$1
  done
  echo "$chosen"
}

# At the context's end also sets, each gone at once.
sets=
for signal in entropy-before entropy-at attention-window drift random; do
  sets+=+top:$signal:5%+top:$signal:20%
done

measure() {  # DOCUMENT EVICT_AT SUBJECTS RUN
  [[ -e $4 ]] || "$longshadow" probe --document "$texts/$1.txt" --context 1024 --future 256 \
    --precision "$precision" --evict-at "$2" --subjects "$3" -o "$4"
}

# What policies keep of the same contexts, which each document shows in one pass.
policies=random,streaming-llm,h2o,tova,snapkv,expected-attention,keydiff,infokv

mkdir -p "$output/lag" "$output/end" "$output/kept"
for document in "${documents[@]}"; do
  measure "$document" lag:16 "$(each "$lag_group" attention-cumulative)" "$output/lag/$document.h5"
  measure "$document" end "$(each "$end_group" attention-window)$sets" "$output/end/$document.h5"
  [[ -e $output/kept/$document.h5 ]] || "$longshadow" retain --document "$texts/$document.txt" \
    --context 1024 --future 256 --policies "$policies" --budgets 0.2 --sinks 4 \
    -o "$output/kept/$document.h5"
done
for kind in lag end kept; do
  for format in json csv; do rm -f "$output/$kind.$format"; done
  "$longshadow" analyze "$output/$kind"/*.h5 --json "$output/$kind.json" --csv "$output/$kind.csv" \
    > "$output/$kind.txt"
done
