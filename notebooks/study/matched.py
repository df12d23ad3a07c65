#!/usr/bin/env python3
"""Prints, for --subjects, a control of a set by position: as many tokens, none of them the set's, each
the nearest in the text that is left to one of the set's.

    python3 notebooks/study/matched.py RUN.h5 top:attention-window:5%

Sinks (4) and the newest tokens (32) stay out, as they do of the set.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "analysis"))
import run_file

SINKS, NEWEST = 4, 32


def matched(tokens, context, seed=0):
    """Sorted tokens of the context, one for each of `tokens`, taken in a drawn order."""
    free = np.ones(context, dtype=bool)
    free[:SINKS] = free[context - NEWEST:] = False
    free[tokens] = False
    others = []
    for token in np.random.default_rng(seed).permutation(tokens):
        left = np.flatnonzero(free)
        nearest = left[np.argmin(np.abs(left - token))]
        free[nearest] = False
        others.append(nearest)
    return np.sort(others)


def main():
    path, group = sys.argv[1:]
    document, = run_file.documents(path)
    tokens, = document.set_tokens[group]
    print("set:" + ",".join(map(str, matched(tokens, len(document.tokens.upos)))))


if __name__ == "__main__":
    main()
