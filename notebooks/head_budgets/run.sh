#!/usr/bin/env bash
# Tries to break head budgets: learns them on some of the texts of texts.sh, and lets policies keep a part of
# the others' caches, with and without. Stopped, it goes on where it was.
#
#   bash notebooks/head_budgets/run.sh TEXTS OUTPUT [LEG...]
#
# Legs, of which `main` alone is run by default:
#   main      contexts of 1,024 tokens, budgets from the texts of four fifths of the sources
#   lengths   the same budgets at contexts of 512, 2,048 and 4,096
#   crossing  learnt on prose and used on code, and learnt on code and used on prose
#   few       learnt on one text, on two and on ten of other sources; and on each text by itself
#   needles   a fact that is asked for later (needles.py)
#   greedy    how long greedy text on a cut cache stays the full cache's (needles.py)
#
# TEXTS is the folder that texts.sh wrote. From the environment: LONGSHADOW (build/longshadow) measures MODEL
# (a file or a folder) on DEVICE (auto); PYTHON (build/venv/bin/python3). RIVALS may name a folder of budgets
# files, made by rivals.py, which main uses too, under H2O's ranking and the file's own. POLICIES and BUDGETS are
# what main measures of those without budgets, and at which shares; ONLY the names of some texts, to run on these
# alone; LEARN of those to learn from, instead of folds, which are then not tested on. A text too short for a length is left out of it by name. Another model needs another OUTPUT.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
texts=$(cd "${1:?expected a folder of texts}" && pwd)
output=${2:?expected a folder to write to}
shift 2
legs=("${@:-main}")
longshadow=$(realpath "${LONGSHADOW:-$root/build/longshadow}")
model=$(realpath "${MODEL:-$root/data/models/SmolLM2-135M-Instruct.Q4_1.gguf}")
python=${PYTHON:-$root/build/venv/bin/python3}
rivals=${RIVALS:-}
mkdir -p "$output"
output=$(cd "$output" && pwd)

budgets=${BUDGETS:-0.5,0.4,0.2,0.1,0.05}
fewer_budgets=0.4,0.2,0.1 # of the further legs
few=h2o,snapkv,expected-attention,pyramidkv,adakv/snapkv,infokv # of those without budgets
all=random,streaming-llm,h2o,snapkv,pyramidkv,tova,knorm,keydiff,expected-attention,lagkv,infokv,dropkv,cake
all+=,chunkkv/snapkv,adakv/snapkv,adakv/h2o,adakv:over=model/h2o,key-rotation/snapkv
oracles=oracle:by=token,oracle:by=head,oracle:by=global

of_table() { "$python" "$here/texts.py" "$@"; }

# The command with the model, and with what was learnt in FOLDER in the place of the user's own.
in_folder() {  # FOLDER COMMAND...
  local folder=$1
  shift
  XDG_CACHE_HOME=$folder "$longshadow" "$@" --model "$model" --device "${DEVICE:-auto}"
}

# The names of ALL that the program has: what another version lacks is left out.
known() {  # ALL
  local policy chosen=() names
  names=", $(in_folder "$output/learned" retain --help | sed -n 's/^  \(full, .*\)/\1/p'), "
  for policy in ${1//,/ }; do
    [[ $names != *", ${policy%%[:/]*}, "* ]] || chosen+=("$policy")
  done
  (IFS=,; echo "${chosen[*]}")
}

IFS=, read -r -a rankings <<< "$(known h2o,snapkv,learned)"
with_budgets=$(printf ',budgets/%s' "${rankings[@]}")

# Measures into RUN, unless it is there. A text that is too short is named and passed over.
measure() {  # RUN FOLDER COMMAND TEXT OPTIONS...
  local run=$1 folder=$2 command=$3 text=$4 complaint
  shift 4
  [[ ! -e $run ]] || return 0
  mkdir -p "$(dirname "$run")"
  complaint=$(in_folder "$folder" "$command" --document "$texts/$text.txt" "$@" --progress none -o "$run" \
    2>&1 > /dev/null) && return
  if [[ $complaint != *"but the document has"* ]]; then
    echo "$complaint" >&2
    exit 1
  fi
  echo "left out: ${complaint#longshadow: }" | tee -a "$output/left_out.txt" >&2
}

sketch() {  # TEXT
  measure "$output/influence/$1.h5" "$output/learned" probe "$1" --context 1024 --future 256 --method sketch \
    --subjects all --evict-at end --detail head
}

# Learns the ranking, where the program can, and every ranking's budgets into FOLDER from the sketches of TEXTS.
learn() {  # FOLDER TEXT...
  local folder=$1 ranking runs
  shift
  [[ ! -e $folder/done ]] || return 0
  rm -rf "$folder"
  mkdir -p "$folder"
  mapfile -t runs < <(printf "$output/influence/%s.h5\n" "$@")
  if [[ " ${rankings[*]} " == *" learned "* ]]; then in_folder "$folder" learn ranking "${runs[@]}" > /dev/null; fi
  for ranking in "${rankings[@]}"; do
    in_folder "$folder" learn budgets "${runs[@]}" --ranking "$ranking" > /dev/null
  done
  printf '%s\n' "$@" > "$folder/done"
}

keep() {  # RUN FOLDER TEXT CONTEXT POLICIES OPTIONS...
  local run=$1 folder=$2 text=$3 context=$4 policies=$5
  shift 5
  measure "$run" "$folder" retain "$text" --context "$context" --future 256 --sinks 4 --budgets "$budgets" \
    --policies "$policies" "$@"
}

# Every policy, real, budgeted and oracle, at the length that was learnt at; rivals by their files' names.
leg_main() {
  local fold text file ranking policies
  policies=$(known "${POLICIES:-$all}")$with_budgets,$oracles
  if [[ -n $rivals ]]; then
    cd "$rivals"
    for file in *.json; do
      ranking=$("$python" -c 'import json, sys; print(json.load(open(sys.argv[1]))["ranking"])' "$file")
      policies+=,budgets:$file/h2o
      [[ $ranking == h2o ]] || policies+=,budgets:$file/$ranking
    done
  fi
  while read -r fold text; do
    keep "$output/kept/$text.h5" "$output/learned/fold_$fold" "$text" 1024 "$policies" \
      --influence "$output/influence/$text.h5"
  done < <(of_table tested)
}

leg_lengths() {
  local fold text length budgets=$fewer_budgets
  for length in 512 2048 4096; do
    while read -r fold text; do
      keep "$output/kept_$length/$text.h5" "$output/learned/fold_$fold" "$text" "$length" "$few$with_budgets"
    done < <(of_table tested)
  done
}

leg_crossing() {
  local pair text learnt others budgets=$fewer_budgets
  for pair in prose:code code:prose; do
    learnt=$output/learned/from_${pair%:*}
    mapfile -t others < <(of_table group "${pair%:*}")
    learn "$learnt" "${others[@]}"
    while read -r text; do
      keep "$output/kept_from_${pair%:*}/$text.h5" "$learnt" "$text" 1024 "${with_budgets#,}"
    done < <(of_table group "${pair#*:}")
  done
}

leg_few() {
  local count fold text others budgets=$fewer_budgets
  for count in 1 2 10; do
    while read -r fold text; do
      mapfile -t others < <(of_table others "$fold" "$count")
      learn "$output/learned/${count}_for_$fold" "${others[@]}"
      keep "$output/kept_$count/$text.h5" "$output/learned/${count}_for_$fold" "$text" 1024 "${with_budgets#,}"
    done < <(of_table tested)
  done
  while read -r fold text; do
    learn "$output/learned/alone/$text" "$text"
  done < <(of_table folds)
}

leg_needles() {
  needles=(--longshadow "$longshadow" --model "$model" --learned "$output/learned" --texts "$texts")
  "$python" "$here/needles.py" facts "${needles[@]}" -o "$output/needles" --policies "$few$with_budgets"
}

leg_greedy() {
  needles=(--longshadow "$longshadow" --model "$model" --learned "$output/learned" --texts "$texts")
  "$python" "$here/needles.py" greedy "${needles[@]}" -o "$output/greedy.json" --policies "$few$with_budgets"
}

while read -r fold text; do sketch "$text"; done < <(of_table folds)
for fold in 0 1 2 3 4; do
  if [[ -n ${LEARN:-} ]]; then
    # shellcheck disable=SC2086  # names are words
    learn "$output/learned/held" $LEARN
    ln -sfn held "$output/learned/fold_$fold"
    continue
  fi
  mapfile -t others < <(of_table others "$fold")
  learn "$output/learned/fold_$fold" "${others[@]}"
done
for leg in "${legs[@]}"; do
  declare -F "leg_$leg" > /dev/null || { echo "run.sh: expected main, lengths, crossing, few, needles or greedy, found $leg" >&2; exit 2; }
  "leg_$leg"
done
