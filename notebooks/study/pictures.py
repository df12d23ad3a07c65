"""The figures of results.md, each of one model's study."""

from dataclasses import replace

import matplotlib.pyplot as plt

import run_file
from figures.chunks import draw_chunks
from figures.distance import draw_distance
from figures.entropy import draw_entropy
from figures.kept_words import draw_kept_words
from figures.signals import draw_signals
from figures.style import STYLE

DOTS_PER_INCH = 130


def at_budget(documents, budget):
    return [replace(one, retention=[kept for kept in one.retention if kept.budget == budget])
            for one in documents]


def draw(study, folder):
    """Writes the figures of what was measured into `folder`; their names."""
    figures = {}
    with plt.rc_context(STYLE):
        if study.has("chunks"):
            figures["chunks"] = draw_chunks(study.runs["chunks"])
            figures["entropy"] = draw_entropy(run_file.pool(study.runs["chunks"]))
        if study.has("lag"):
            pooled = run_file.pool(study.runs["lag"])
            figures |= {"distance": draw_distance(pooled), "signals": draw_signals(pooled)}
        if study.has("kept"):
            figures["kept"] = draw_kept_words(at_budget(study.runs["kept"], "0.2"))
        for name, figure in figures.items():
            figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH)
            plt.close(figure)
    return list(figures)
