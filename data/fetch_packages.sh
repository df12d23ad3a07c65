#!/usr/bin/env bash
# Fetches what Longshadow is built with: Debian packages through apt, and a Python environment in
# build/venv. Where everything is present it changes nothing and asks for no rights.
#
#   bash data/fetch_packages.sh           to build, run and test
#   bash data/fetch_packages.sh check     also what .ci/run checks the code with
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build_packages=(
  ca-certificates cmake g++ ninja-build pkg-config python3 python3-venv
  libdnnl-dev ocl-icd-opencl-dev libeigen3-dev    # matrix products: f32 (its CMake file asks for OpenCL), f64
  libtbb-dev                                      # threads
  nlohmann-json3-dev libpcre2-dev libutf8proc-dev # model and tokenizer files
  libhdf5-dev libssl-dev                          # run files, SHA-256
  libboost-program-options-dev catch2             # the command line, the tests
  libboost-context-dev                            # CUDA kernels on the processor: a fiber for each thread
  chromium chromium-driver                        # the tests of the page that `longshadow inspect` writes
)
check_packages=(clang-format-14 clang-tidy-14 libomp-14-dev shellcheck clang-14 libclang-rt-14-dev)

missing_packages() {
  local package status
  for package in "$@"; do
    status=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || echo "$package"
  done
}

as_root() {
  if [[ $(id -u) == 0 ]]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "fetch_packages.sh: expected root or sudo to run: $*" >&2
    exit 1
  fi
}

install_packages() {
  local missing
  if ! command -v apt-get >/dev/null; then
    echo "fetch_packages.sh: no apt-get here; expecting these or their like: $*" >&2
    return
  fi
  mapfile -t missing < <(missing_packages "$@")
  [[ ${#missing[@]} -gt 0 ]] || return 0
  echo "apt-get install ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
}

# Debian's own interpreter, whatever python3 the PATH has; the copy of the list inside the
# environment, written last, says that it is complete.
make_python_environment() {
  local list=data/requirements.txt venv=build/venv
  if cmp --silent "$list" "$venv/requirements.txt" && "$venv/bin/python3" --version >/dev/null; then
    return
  fi
  echo "Python environment in $venv"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/python3" -m pip install --quiet --disable-pip-version-check --requirement "$list"
  cp "$list" "$venv/requirements.txt"
}

packages=("${build_packages[@]}")
if [[ ${1:-} == check ]]; then
  packages+=("${check_packages[@]}")
fi
install_packages "${packages[@]}"
make_python_environment
