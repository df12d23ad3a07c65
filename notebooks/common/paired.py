"""Comparisons in which documents are the units, each compared with itself."""

from dataclasses import dataclass

import numpy as np

import run_statistics


@dataclass(frozen=True)
class Effect:
    """An effect, its 95% interval over documents (NaN of few) and its two-sided p, not corrected."""
    value: float
    low: float
    high: float
    p: float


def flipped_p(values):
    """Two-sided p of a mean of 0, by all patterns of signs."""
    signs = 1 - 2 * ((np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1)
    return np.mean(np.abs(signs @ values) >= abs(np.sum(values)) * (1 - 1e-12))


def ratio(values, others):
    """How many times as much `values` are as `others`, document by document: the geometric mean."""
    logarithms = np.log(np.array(values) / np.array(others))
    low, high = run_statistics.bootstrap(logarithms, np.mean)
    return Effect(np.exp(logarithms.mean()), np.exp(low), np.exp(high), flipped_p(logarithms))


def holm(p):
    """Holm's step-down correction of several p-values, in their order."""
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1, np.asarray(p)[order] * (len(p) - np.arange(len(p))))
    corrected = np.empty(len(p))
    corrected[order] = np.maximum.accumulate(steps)
    return corrected
