#!/usr/bin/env bash
# Installs what is missing, builds Release in build/ and runs every test; at the end it lists those
# that were skipped, with the reasons.
#
#   bash tests/run.sh                  everything
#   bash tests/run.sh -R 'tokenizer'   any options of ctest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bash data/fetch_packages.sh
bash data/fetch_model.sh
cmake --preset release
cmake --build --preset release
rm -f build/ctest.xml
status=0
ctest --preset release --parallel "$(nproc)" --output-junit "$PWD/build/ctest.xml" "$@" || status=$?
if [[ -f build/ctest.xml ]]; then python3 tests/support/list_skips.py build/ctest.xml; fi
exit "$status"
