"""Influence of sets of tokens that were removed at once."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.distance import influence_curve
from figures.style import (COLOURS, COLUMN, MARKERS, add_caption, add_legend_below, draw_curve,
                           plain_log_ticks)
from run_file import chosen_by, sets_of


def looks_of(names):
    """Colour and marker by what chose the tokens, open for all but its first share."""
    choosers = list(dict.fromkeys(chosen_by(name)[:2] for name in names))
    look = dict(zip(choosers, zip(itertools.cycle(COLOURS), itertools.cycle(MARKERS))))
    seen = []
    for name in names:
        chooser = chosen_by(name)[:2]
        yield name, *look[chooser], "white" if chooser in seen else look[chooser][0]
        seen.append(chooser)


def draw_sets(document):
    """A curve for each group of sets, over the positions after the start, the first of them 1."""
    figure, axes = plt.subplots(figsize=(COLUMN, 2.8 + 0.14 * len(document.sets)),
                                layout="constrained")
    axes.set(xscale="log", yscale="log", ylabel="mean influence (nats)",
             xlabel="position after the start (tokens)")
    axes.set_title(f"{document.name}\n{document.model}")
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    for name, colour, marker, face in looks_of(document.sets):
        sets = sets_of(document, name)  # one a document and part: their intervals are over sets
        sets.distance = sets.distance + 1
        position, value, low, high, _ = influence_curve(sets, np.arange(len(sets.kl)), np.mean,
                                                        per_octave=1).T
        draw_curve(axes, position, value, low, high, colour, marker,
                   f"{name} (n = {len(sets.kl)})", face)
    plain_log_ticks(axes.xaxis, 1, document.noise_floor.size)
    add_legend_below(axes)
    add_caption(figure, "Each set was removed at once. Means over positions and sets; bands: 95% "
                f"bootstrap interval over sets, from {run_file.FEWEST} on. "
                f"Run: {document.conditions}.")
    return figure
