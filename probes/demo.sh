#!/usr/bin/env bash
# Longshadow from nothing to figures: what the bundled article's tokens do to what SmolLM2 predicts
# later. Results stay in build/demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly document=data/documents/how_a_cache_forgets.txt
readonly results=build/demo

step() {
  printf '\n== %s\n' "$1"
}

step "1/5  Packages"
bash data/fetch_packages.sh

step "2/5  Build (Release, in build/)"
cmake --preset release >build/configure.log || { cat build/configure.log; exit 1; }
cmake --build --preset release --target longshadow

step "3/5  Model"
bash data/fetch_model.sh

step "4/5  Probe: remove tokens one at a time, measure every later distribution"
mkdir -p "$results"
rm -f "$results/run.h5"
build/longshadow probe --model smollm2 --document "$document" --context 1024 --future 256 \
  --subjects sample:128 -o "$results/run.h5"

step "5/5  Table and figures"
build/longshadow analyze "$results/run.h5"
build/venv/bin/python3 analysis/plot.py "$results/run.h5" -o "$results"
printf '\nThe run is %s/run.h5; the figures beside it are PNG and SVG.\n' "$results"
