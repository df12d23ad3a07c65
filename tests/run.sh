#!/usr/bin/env bash
# Installs what is missing, builds Release in build/ and runs every test.
#
#   bash tests/run.sh                  everything
#   bash tests/run.sh -R 'tokenizer'   any options of ctest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash data/fetch_packages.sh
bash data/fetch_model.sh
cmake --preset release
cmake --build --preset release
ctest --preset release --parallel "$(nproc)" "$@"
