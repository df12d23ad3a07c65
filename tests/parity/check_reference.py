"""Recomputes a reference of a real model with plain float64 numpy and prints how far it is off.

    python3 tests/parity/check_reference.py --model SmolLM2-135M-Instruct.Q4_1.gguf \\
        --reference smollm2_lomb_scargle.json

Exits 1 where a quantity differs by more than its reference's printed digits allow.
"""

import argparse
import json
import sys

import numpy as np

from load_gguf import load_gguf
from make_reference import measure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="GGUF file")
    parser.add_argument("--reference", required=True, help="JSON file")
    # The references are printed to 8 to 10 digits, and a KL summed as p (log p - log q) carries a
    # rounding error of some 1e-14 whatever its size.
    parser.add_argument("--tolerance", type=float, default=1e-6, help="relative")
    parser.add_argument("--floor", type=float, default=1e-13, help="absolute, added to it")
    options = parser.parse_args()
    with open(options.reference, encoding="utf-8") as file:
        expected = json.load(file)

    worst = 0.0
    for key, ours in measure(load_gguf(options.model), expected).items():
        ours, theirs = np.array(ours, float), np.array(expected[key], float)
        if ours.shape != theirs.shape:
            sys.exit(f"{key}: expected shape {theirs.shape}, computed {ours.shape}")
        known = ~np.isnan(theirs)
        if (np.isnan(ours) == known).any():
            sys.exit(f"{key}: NaN where the reference has a number, or the other way round")
        difference = np.abs(ours - theirs)[known]
        allowed = options.tolerance * np.abs(theirs[known]) + options.floor
        print(f"{key:22} largest difference {difference.max():.2e}, "
              f"of what is allowed {np.max(difference / allowed):.3f}")
        worst = np.maximum(worst, np.max(difference / allowed))  # NaN stays
    print(f"worst {worst:.3f} of what is allowed")
    return not worst <= 1.0


if __name__ == "__main__":
    sys.exit(int(main()))
