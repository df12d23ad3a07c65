"""Compiles every CUDA kernel with nvcc, warnings as errors, and holds it to registers.txt beside it.

    bash tests/device/fetch_nvcc.sh
    python3 tests/device/compile_kernels.py [--write]

No GPU is needed. A kernel that takes more registers than its line says, spills any, or has no line
fails; --write writes the table anew.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NVCC = ROOT / "build/nvcc/nvidia/cu13/bin/nvcc"
TABLE = Path(__file__).with_name("registers.txt")
ARCHITECTURES = ("80", "90")
FLAGS = ("-std=c++20", "-O3", "--expt-relaxed-constexpr", "-Werror", "all-warnings",
         "-Xcompiler", "-Wall,-Wextra", "-Xptxas", "-v",
         # A view of const elements converts to itself; the operator says `requires` non-const.
         "-diag-suppress", "554")


def compiled(source: Path) -> str:
    """What ptxas says of the kernels of one file, for every architecture and as PTX."""
    targets = [f"-gencode=arch=compute_{one},code=sm_{one}" for one in ARCHITECTURES]
    targets.append(f"-gencode=arch=compute_{ARCHITECTURES[-1]},code=compute_{ARCHITECTURES[-1]}")
    with tempfile.TemporaryDirectory() as folder:
        result = subprocess.run([NVCC, *FLAGS, *targets, f"-I{ROOT}", "-c", source,
                                 "-o", f"{folder}/kernels.o"],
                                capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(f"{source.relative_to(ROOT)}: nvcc fails\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def short_name(mangled: str, source: Path) -> str:
    """"attention: absorb_kernel<float>" """
    demangled = subprocess.run(["c++filt", mangled], capture_output=True, text=True,
                               check=True).stdout
    demangled = re.sub(r"\(longshadow::\w+\)(\d+)", r"\1", demangled)  # an enumerator's number alone
    name = re.search(r"(\w+_kernel(?:<[^(]*>)?)\(", demangled).group(1)
    return f"{source.stem.removesuffix('_cuda')}: {name.replace('longshadow::', '')}"


def kernels_of(report: str, source: Path) -> dict[tuple[str, str], tuple[int, int]]:
    """(kernel, architecture) -> (registers, bytes spilled)"""
    found = {}
    parts = re.split(r"Compiling entry function '", report)[1:]
    for part in parts:
        mangled, architecture = re.match(r"(\w+)' for 'sm_(\d+)'", part).groups()
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        registers = int(re.search(r"Used (\d+) registers", part).group(1))
        found[short_name(mangled, source), architecture] = registers, spilled
    return found


def table() -> dict[tuple[str, str], int]:
    allowed = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, *registers = line.rsplit(maxsplit=len(ARCHITECTURES))
            allowed |= {(name, one): int(count) for one, count in zip(ARCHITECTURES, registers)}
    return allowed


def main(*options: str) -> None:
    sources = sorted(ROOT.glob("engine/ops/*/*_cuda.cu"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        reports = list(pool.map(compiled, sources))
    found = {}
    for source, report in zip(sources, reports):
        found |= kernels_of(report, source)
    names = sorted({name for name, _ in found})
    lines = [f"{name:<58}" + "".join(f"{found[name, one][0]:>6}" for one in ARCHITECTURES)
             for name in names]
    print("\n".join(lines))
    if "--write" in options:
        TABLE.write_text("# Registers of each kernel, at most, on sm_" + " and sm_".join(ARCHITECTURES)
                         + "; none spills. compile_kernels.py --write writes it.\n"
                         + "\n".join(lines) + "\n")
    allowed = table()
    failures = [f"{name} on sm_{one}: {registers} registers, {spilled} bytes spilled; "
                f"allowed are {allowed.get((name, one), 'none')}"
                for (name, one), (registers, spilled) in found.items()
                if spilled or registers > allowed.get((name, one), 0)]
    if failures:
        sys.exit("\n".join(failures))
    print(f"{len(names)} kernels of {len(sources)} files: no warnings, no spills")


if __name__ == "__main__":
    main(*sys.argv[1:])
