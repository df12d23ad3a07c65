#!/usr/bin/env bash
# Measures the study of results.md on ten documents with one model, and analyses it. Stopped, it goes on
# where it was.
#
#   bash notebooks/study/run.sh DOCUMENTS OUTPUT          an hour on two cores with smollm2
#   bash notebooks/study/run.sh DOCUMENTS OUTPUT --quick  three documents and less of everything: minutes
#
# DOCUMENTS is a folder of texts. From the environment: LONGSHADOW (build/longshadow) measures MODEL
# (smollm2) on DEVICE (auto) with PRECISION (bf16: errors of 1%, docs/numerics.md); in the paper's protocol, by
# METHOD (auto), sets of SHARES ("5 20") percent of a context of 2,048 tokens for FUTURE (6144) positions
# after it; one at a time LAG_GROUP and END_GROUP (24) tokens of each kind. PYTHON (build/venv/bin/python3)
# has what data/requirements.txt names.
# A document too short for the protocol is left out of it by name. What is there is not measured again:
# another model needs another OUTPUT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
texts=${1:?expected a folder of texts}
output=${2:?expected a folder to write to}
longshadow=${LONGSHADOW:-$root/build/longshadow}
model=(--model "${MODEL:-smollm2}" --device "${DEVICE:-auto}")
precision=${PRECISION:-bf16}
method=${METHOD:-auto}
lag_group=${LAG_GROUP:-24}
end_group=${END_GROUP:-24}
future=${FUTURE:-6144}
python=${PYTHON:-$root/build/venv/bin/python3}
shares=${SHARES:-5 20}

documents=(lomb_scargle russell_problems proteomics_tutorial nist_sp800_63b darwin_origin_ch4
           tuning_playbook deep_review mill_on_liberty_ch2 sympy_paper derisking_budgeting)
in_f32=2 # documents on which f32 confirms the protocol
budgets=0.4,0.2,0.1
if [[ ${3:-} == --quick ]]; then
  documents=("${documents[@]:0:3}")
  in_f32=1
  lag_group=8 end_group=8 future=${FUTURE:-1024}
  budgets=0.2 shares=${SHARES:-20}
fi

# Measures into RUN, unless it is there.
measure() {  # RUN COMMAND DOCUMENT OPTIONS...
  local run=$1 command=$2 document=$3
  shift 3
  [[ -e $run ]] || "$longshadow" "$command" "${model[@]}" --document "$texts/$document.txt" "$@" -o "$run"
}

# Six ways to choose N single tokens, one of them by attention as the cache's owner knows it.
each() {  # N ATTENTION
  local chosen=each:random:$1 signal
  for signal in entropy-before -entropy-before entropy-at drift "$2"; do
    chosen+=+each:$signal:$1
  done
  echo "$chosen"
}

# The same SHARE of the context by each signal, as sets that go at once.
top() {  # SHARE SIGNAL...
  local share=$1 chosen="" signal
  shift
  for signal; do chosen+=+top:$signal:$share%; done
  echo "${chosen#+}"
}

joined() { local IFS=+; echo "$*"; }

# One token at a time, and sets, at a context of 1,024.
single_tokens() {  # DOCUMENT
  local lengths=(--context 1024 --future 256 --precision "$precision") kinds
  kinds=(entropy-before entropy-at attention-window drift random)
  measure "$output/lag/$1.h5" probe "$1" "${lengths[@]}" --evict-at lag:16 \
    --subjects "$(each "$lag_group" attention-cumulative)"
  measure "$output/end/$1.h5" probe "$1" "${lengths[@]}" --evict-at end \
    --subjects "$(joined "$(each "$end_group" attention-window)" "$(top 5 "${kinds[@]}")" "$(top 20 "${kinds[@]}")")"
}

# What policies keep of a context of 2,048, and what that costs; the sketch tells the oracle.
policies() {  # DOCUMENT
  local lengths=(--context 2048 --future 256) names
  names=random,oracle,streaming-llm,h2o,snapkv,infokv,pyramidkv,tova,knorm,keydiff,expected-attention
  names+=,lagkv,chunkkv/snapkv,adakv/snapkv,key-rotation/snapkv
  measure "$output/influence/$1.h5" probe "$1" "${lengths[@]}" --method sketch --subjects all \
    --evict-at end --bins 0:64,64:192,192:256
  measure "$output/kept/$1.h5" retain "$1" "${lengths[@]}" --policies "$names" --budgets "$budgets" \
    --sinks 4 --influence "$output/influence/$1.h5"
}

# The paper's protocol: sets that go at once after 2,048 tokens, followed as far as FUTURE; among them
# what policies evict.
protocol() {  # KIND DOCUMENT PRECISION SHARE...
  local kind=$1 document=$2 its_precision=$3 share
  shift 3
  local sets=()
  for share; do sets+=("$(top "$share" attention-window entropy-before drift random)"); done
  measure "$output/$kind/$document.h5" probe "$document" --context 2048 --future "$future" \
    --evict-at end --precision "$its_precision" --method "$method" \
    --subjects "$(joined "${sets[@]}" policy:{snapkv,infokv,h2o}@0.2)"
}

# As many other tokens of the same places as attention's twentieth: whether nearness alone does it.
matched() {  # DOCUMENT
  local run=$output/matched/$1.h5
  [[ -e $run ]] || measure "$run" probe "$1" --context 2048 --future "$future" --evict-at end \
    --precision "$precision" --method "$method" \
    --subjects "$("$python" "$here/matched.py" "$output/chunks/$1.h5" top:attention-window:5%)"
}

# Whether the document is long enough for the protocol; one that is not is named.
is_long_enough() {  # DOCUMENT
  local complaint
  complaint=$("$longshadow" probe "${model[@]}" --document "$texts/$1.txt" --context 2048 \
    --future "$future" --evict-at end --subjects "$(top 20 random)" --dry-run \
    -o "$output/chunks/dry_run.h5" 2>&1 > /dev/null) && return
  if [[ $complaint != *"but the document has"* ]]; then
    echo "$complaint" >&2
    exit 1
  fi
  echo "left out of the protocol: ${complaint#longshadow: }" | tee -a "$output/left_out.txt" >&2
  return 1
}

# Part by part, so that what is interrupted has whole ones.
mkdir -p "$output"/{lag,end,influence,kept,chunks,chunks_f32,matched}
rm -f "$output/left_out.txt"
long_enough=()
for document in "${documents[@]}"; do
  if is_long_enough "$document"; then long_enough+=("$document"); fi
done
# shellcheck disable=SC2086  # shares are words
for document in "${long_enough[@]}"; do protocol chunks "$document" "$precision" $shares; done
if [[ " $shares " == *" 5 "* ]]; then
  for document in "${long_enough[@]}"; do matched "$document"; done
fi
for document in "${documents[@]}"; do policies "$document"; done
for document in "${documents[@]}"; do single_tokens "$document"; done
if [[ $precision == bf16 ]]; then
  for document in "${long_enough[@]:0:in_f32}"; do protocol chunks_f32 "$document" f32 20; done
fi

for kind in lag end kept chunks; do
  runs=("$output/$kind"/*.h5)
  [[ -e ${runs[0]} ]] || continue
  rm -f "$output/$kind".{json,csv}
  options=()
  [[ $kind != chunks ]] || options=(--chunks 128)
  "$longshadow" analyze "${runs[@]}" "${options[@]}" --json "$output/$kind.json" \
    --csv "$output/$kind.csv" > "$output/$kind.txt"
done
