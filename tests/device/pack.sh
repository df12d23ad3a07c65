#!/usr/bin/env bash
# Packs what build-cuda holds for a machine with a GPU that has neither Debian's packages nor a
# network: programs, the libraries they need but for the system's and the CUDA Toolkit's, fixtures,
# and what runs them there.
#
#   bash tests/device/pack.sh FOLDER      writes FOLDER/pack.tar.xz and FOLDER/run_packed.sh
#   bash FOLDER/run_packed.sh ...         there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

folder=${1:?"expected the folder to write to"}
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
mkdir -p "$folder" "$staging"/{lib,source/tests,source/data}

programs=(build-cuda/longshadow build-cuda/tests/test_{cuda,kv,model,ops,probes})
for program in "${programs[@]}"; do
  strip -o "$staging/${program##*/}" "$program"
done
# What the machine has itself: glibc, the compiler's runtime, CUDA.
readonly theirs='^(libc|libm|libdl|librt|libpthread|libresolv|libstdc\+\+|libgcc_s|libcu[a-zA-Z]+)\.so'
ldd "${programs[@]}" | awk '$2 == "=>" {print $1, $3}' | sort -u |
  while read -r name path; do
    if [[ ! $name =~ $theirs ]] || [[ $name == libcurl.so* ]]; then
      cp -L "$path" "$staging/lib/$name"
    fi
  done
# Tests look for fixtures where they were built.
pwd >"$staging/root"
cp -r data/fixtures data/documents data/part_of_speech "$staging/source/data/"
cp -r tests/probes tests/device "$staging/source/tests/"
find "$staging/source" -name __pycache__ -prune -exec rm -rf {} +

XZ_OPT=-2 tar -C "$staging" -cJf "$folder/pack.tar.xz" .
cp tests/device/run_packed.sh "$folder/"
ls -l "$folder/pack.tar.xz"
