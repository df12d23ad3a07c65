#!/usr/bin/env bash
# Times Longshadow beside transformers and llama.cpp, in one run; results land in build/bench.
#
#   bash tests/bench/run.sh           T 2048, H 512, 32 subjects: some fifteen minutes on 2 cores
#   bash tests/bench/run.sh --quick   small sizes, one round; any option of bench.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly list=tests/parity/requirements.txt venv=build/venv-peers

bash data/fetch_packages.sh
bash data/fetch_model.sh
cmake --preset release
cmake --build --preset release --target longshadow

# llama-cpp-python is compiled for this machine. The copy of the list, written last, says that the
# environment is complete.
if ! cmp --silent "$list" "$venv/requirements.txt"; then
  echo "Python environment in $venv (torch and its libraries are several GB)"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$list"
  cp "$list" "$venv/requirements.txt"
fi

exec "$venv/bin/python3" tests/bench/bench.py --document data/documents/how_a_cache_forgets.txt "$@"
