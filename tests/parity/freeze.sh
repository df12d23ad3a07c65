#!/usr/bin/env bash
# Everything that a build measures, small, into a new folder: run files of probe, sketch, screen and
# retain, generated texts. Two builds that should measure the same are compared to the byte:
#   bash tests/parity/freeze.sh PROGRAM FOLDER [MODEL]    (and again for the other)
#   diff -r FOLDER OTHER_FOLDER
# MODEL is smollm2 unless given; about two minutes.
set -euo pipefail
program=$(realpath "$1")
mkdir "$2"
folder=$(realpath "$2")
model=${3:-smollm2}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
document=data/documents/how_a_cache_forgets.txt

run() {
  local name=$1 command=$2
  shift 2
  echo "$name"
  "$program" "$command" --model "$model" --document "$document" --device cpu --threads 2 "$@" \
    --output "$folder/$name.h5" >"$folder/$name.out" 2>"$folder/$name.err" || {
    cat "$folder/$name.err"
    exit 1
  }
  rm "$folder/$name.out" "$folder/$name.err"  # times and rates
}

subjects=sample:8+list:3,7-9+set:3,7-9+word:3
sets=top:entropy-before:5%+top:attention-window:5%+each:-drift:4+policy:snapkv@0.2+policy:infokv@0.2
for precision in f64 f32 bf16; do
  run "lag-$precision" probe -p "$precision" -T 192 -H 64 -s "$subjects"
  run "end-$precision" probe -p "$precision" -T 192 -H 64 -s "$sets" --evict-at end
  run "parts-$precision" probe -p "$precision" -T 128 -H 32 -s sample:6 --layers 0-5,12 --heads 1
done
for precision in f64 f32; do
  run "direct-$precision" probe -p "$precision" -T 192 -H 64 -s "$subjects" --method direct
done
for precision in f64 f32 bf16; do
  run "sketch-$precision" probe -p "$precision" -T 192 -H 64 --method sketch --detail head --probes 4
done
run screen probe -T 192 -H 64 --method screen --probes 4 --exact 4% --control 8
run tape-in-stretches probe -T 192 -H 64 -s sample:12 --memory 1.1G
run sketch-sampled probe -T 192 -H 64 --method sketch --probe-kind sampled --probes 4 --detail head \
  --projections
policies=full,random,streaming-llm,h2o,snapkv,pyramidkv,cake,dropkv,tova,knorm,keydiff
policies+=,expected-attention,lagkv,infokv,adakv/snapkv,adakv:over=model/snapkv,chunkkv/snapkv
policies+=,key-rotation/knorm,adakv/infokv
for precision in f64 f32; do
  run "retain-$precision" retain -p "$policies" -b 0.4,0.2 -T 256 -H 64 --precision "$precision"
done
run retain-oracle retain -p oracle,oracle:by=head,oracle:by=global -b 0.2 -T 192 -H 64 \
  --influence "$folder/sketch-f32.h5"
run retain-packed retain -p snapkv,knorm -b 0.4 -T 256 -H 64 --kv-bits 4

write() {
  local name=$1
  shift
  echo "$name"
  "$program" generate --model "$model" --document "$document" --device cpu --threads 2 -T 300 \
    -n 80 "$@" >"$folder/$name.txt" 2>"$folder/$name.err" || {
    cat "$folder/$name.err"
    exit 1
  }
  rm "$folder/$name.err"
}
write greedy
write drawn --temperature 0.8 --seed 5
write snapkv --policy snapkv --budget 0.2
write infokv --policy infokv --budget 0.2 --target 100 --every 64
write rpc --policy rpc:window=8 --every 16
write packed --kv-bits 8 --policy knorm --budget 0.5
