"""Influence of sets against chunks of the text that follows, as InfoKV's paper shows it."""

import itertools

import matplotlib.pyplot as plt
import numpy as np

import run_file
import run_statistics
from figures.style import (BLACK, BLUE, GREEN, GREY, ORANGE, PAGE, SKY, VERMILION, add_caption,
                           plain_log_ticks)
from run_file import chosen_by
from run_statistics import bootstrap, chunk_means

CHUNK = 128  # positions, as in the paper
FEWEST = 4  # chunks that a figure needs
BASELINES = ("random", "snapkv")  # the first that a panel has is what the others are compared with
LOOKS = {"random": (GREY, "-"), "attention-window": (BLUE, "-"), "entropy-before": (VERMILION, "-"),
         "drift": (GREEN, "-"), "snapkv": (BLUE, "-"), "infokv": (VERMILION, "-"),
         "h2o": (SKY, "-"), "expected-attention": (ORANGE, "-")}
OTHER_LOOKS = tuple(itertools.product((BLACK, GREEN, ORANGE, SKY, VERMILION, BLUE), ("--", ":")))


def with_chunks(documents):
    """Those whose sets were followed for several chunks."""
    return [one for one in documents if one.sets and one.noise_floor.size >= FEWEST * CHUNK]


def panels_of(documents):
    """Sets of one size that several choosers chose, the smallest first: {title: {chooser: group}}."""
    groups = dict.fromkeys(name for document in documents for name in document.sets)
    panels = {}
    for name in groups:
        kind, chooser, amount = chosen_by(name)
        if amount:
            panels.setdefault((kind, amount), {})[chooser] = name
    panels = {key: panel for key, panel in panels.items() if len(panel) > 1}
    titles = {"top": "{} removed", "policy": "policies keep {}"}
    return {titles[kind].format(amount): panels[kind, amount]
            for kind, amount in sorted(panels, key=lambda key: (key[0] != "top", size_of(key[1])))}


def size_of(amount):
    return float(amount.rstrip("%"))


def draw_means(axes, positions, documents, name, colour, line):
    """The mean over documents of what the set does in each chunk."""
    values = np.array([chunk_means(one, name, CHUNK) for one in documents if name in one.sets])
    intervals = np.array([bootstrap(column, np.mean) for column in values.T])
    axes.fill_between(positions, *intervals.T, color=colour, alpha=0.15, linewidth=0)
    axes.plot(positions, values.mean(axis=0), line, color=colour)


def draw_ratios(axes, documents, name, baseline, colour, line):
    """How many times as much as the baseline the set does in each stretch of chunks, document by
    document: geometric means."""
    pairs = [[chunk_means(one, group, CHUNK) for group in (name, baseline)]
             for one in documents if name in one.sets and baseline in one.sets]
    if not pairs:
        return
    parts = run_statistics.stretches(len(pairs[0][0]))
    centres = [CHUNK * max(np.sqrt(begin * end), 0.5) for begin, end in parts]
    logarithms = np.array([[np.log(one[begin:end].mean() / other[begin:end].mean())
                            for begin, end in parts] for one, other in pairs])
    intervals = np.exp([bootstrap(column, np.mean) for column in logarithms.T])
    axes.fill_between(centres, *intervals.T, color=colour, alpha=0.15, linewidth=0)
    axes.plot(centres, np.exp(logarithms.mean(axis=0)), f"o{line}", color=colour, markersize=2.5)


def draw_chunks(documents):
    """A column for sets of one size: their influence chunk by chunk, and below how many times as much
    that is as a random set's of the same size, or where there is none as what SnapKV evicts."""
    documents = with_chunks(documents)
    panels = panels_of(documents)
    positions = (np.arange(len(chunk_means(documents[0], next(iter(documents[0].sets)), CHUNK)))
                 + 0.5) * CHUNK
    choosers = dict.fromkeys(chooser for panel in panels.values() for chooser in panel)
    others = iter(itertools.cycle(OTHER_LOOKS))
    looks = {chooser: LOOKS.get(chooser) or next(others) for chooser in choosers}
    figure, rows = plt.subplots(2, len(panels), figsize=(min(PAGE, 3 + 1.8 * len(panels)), 4),
                                sharex=True, sharey="row", squeeze=False, layout="constrained")
    for column, (title, panel) in zip(rows.T, panels.items()):
        column[0].set_title(title, fontsize=7)
        baseline = next((one for one in BASELINES if one in panel), None)
        for chooser, name in panel.items():
            draw_means(column[0], positions, documents, name, *looks[chooser])
            if baseline and chooser != baseline:
                draw_ratios(column[1], documents, name, panel[baseline], *looks[chooser])
        if baseline:
            column[1].set_title(f"over {baseline}", fontsize=7)
            column[1].axhline(1, color=looks[baseline][0], linewidth=0.8)
        for axes in column:
            axes.set(xscale="log", yscale="log")
            axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
        plain_log_ticks(column[1].xaxis, *positions[[0, -1]], steps=(1, 3))
    return finished(figure, rows, documents, looks)


def finished(figure, rows, documents, looks):
    """The figure with its title, labels, legend and caption."""
    rows[0, 0].set_ylabel("mean influence (nats)")
    rows[1, 0].set_ylabel("ratio of influences")
    handles = [plt.Line2D([], [], color=colour, linestyle=line) for colour, line in looks.values()]
    figure.legend(handles, looks, loc="outside right center", frameon=False)
    counted = documents[0].name if len(documents) == 1 else f"{len(documents)} documents"
    figure.suptitle(f"{counted}\n{documents[0].model}", fontsize=8)
    for axes in rows[1]:
        axes.set_xlabel("position after start")
    lengths = documents[0].conditions.split(", subjects")[0]
    add_caption(figure, f"Sets removed at once ({lengths}). Above: means over chunks of {CHUNK} "
                "positions and over documents. Below: ratios to another set of the same size in the "
                "same document, over the first chunk, the next three, and doubling; geometric "
                f"means over documents. Bands: 95% bootstrap intervals over documents, from "
                f"{run_file.FEWEST} on.")
    return figure
