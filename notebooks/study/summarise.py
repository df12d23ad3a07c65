#!/usr/bin/env python3
"""Draws the figures of results.md from the runs of run.sh, and compares the sets in pairs:

    python3 notebooks/study/summarise.py OUTPUT FOLDER
"""

import sys
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "analysis"))
import run_file
from figures.distance import draw_distance
from figures.entropy import draw_entropy
from figures.sets import draw_sets
from figures.signals import draw_signals
from figures.style import STYLE

DOTS_PER_INCH = 130
NEAR, FAR = slice(0, 16), slice(128, 256)  # positions after the start


def read(folder):
    return [document for path in sorted(folder.glob("*.h5")) for document in run_file.documents(path)]


def flipped_p(values):
    """Two-sided p of a mean of 0, by all patterns of signs."""
    signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    return np.mean(np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-12))


def compare_sets(documents):
    """A line for each share: how many times more the set of one signal does than another's, as the
    geometric mean over documents with its interval, near and far."""
    pairs = [("entropy-before", "random"), ("entropy-at", "random"), ("attention-window", "random"),
             ("drift", "random"), ("attention-window", "entropy-before")]
    print("| removed at once | against | share | positions 0-15 | p | positions 128-255 | p |")
    print("|---|---|---|---|---|---|---|")
    for share in ("5%", "20%"):
        for one, other in pairs:
            cells = []
            for window in (NEAR, FAR):
                kl = [[document.sets[f"top:{signal}:{share}"][0, window].mean()
                       for signal in (one, other)] for document in documents]
                lead = np.log([a / b for a, b in kl])
                low, high = run_file.bootstrap(lead, np.mean)
                cells.append(f"{np.exp(lead.mean()):.2g} [{np.exp(low):.2g}, {np.exp(high):.2g}] | "
                             f"{flipped_p(lead):.3f}")
            print(f"| {one} | {other} | {share} | {' | '.join(cells)} |")


def main():
    output, folder = map(Path, sys.argv[1:])
    lag, end = read(output / "lag"), read(output / "end")
    matplotlib.use("Agg")
    with plt.rc_context(STYLE):
        pooled, at_end = run_file.pool(lag), run_file.pool(end)
        at_end.sets = {name: kl for name, kl in at_end.sets.items() if name.endswith(":20%")}
        for name, figure in (("distance", draw_distance(pooled)), ("signals", draw_signals(pooled)),
                             ("entropy", draw_entropy(pooled)),
                             ("sets", draw_sets(at_end))):
            figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
    compare_sets(end)


if __name__ == "__main__":
    main()
