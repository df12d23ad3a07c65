"""Leaves out each barrier of the kernels in turn: a test of the operations must fail each time.

    python3 tests/device/barriers_test.py build/tests/test_ops

A barrier that nothing misses is needless, or lacks a test.
"""

import os
import subprocess
import sys
from pathlib import Path

KERNELS = Path(__file__).resolve().parents[2] / "engine/ops"


def barriers() -> list[str]:
    """"x_cuda.cu:39", and so on"""
    return [f"{source.name}:{number}"
            for source in sorted([*KERNELS.glob("*/*.cu"), *KERNELS.glob("*/*_cuda.h")])
            for number, line in enumerate(source.read_text().splitlines(), 1)
            if "__syncthreads()" in line]


def is_missed(barrier: str, tests: str) -> bool:
    environment = os.environ | {"LONGSHADOW_LEFT_OUT_BARRIER": barrier}
    result = subprocess.run([tests, "--abort", "*Cuda*"], env=environment, capture_output=True,
                            check=False)
    if result.returncode != 0 and b"FAILED" not in result.stdout:
        sys.exit(f"{tests}: expected a test that fails or none, found status {result.returncode}\n"
                 + result.stderr.decode(errors="replace"))
    return result.returncode != 0


def main(tests: str) -> None:
    found = barriers()
    if not found:
        sys.exit(f"{KERNELS}: expected kernels with barriers, found none")
    survivors = []
    for barrier in found:
        missed = is_missed(barrier, tests)
        print(f"{barrier:<40} {'missed by a test' if missed else 'missed by nobody'}", flush=True)
        if not missed:
            survivors.append(barrier)
    if survivors:
        sys.exit(f"{len(survivors)} of {len(found)} barriers can go, or need a test")


if __name__ == "__main__":
    main(*sys.argv[1:])
