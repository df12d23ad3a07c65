"""Each subject's influence, near and far, against its signals."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.style import BLUE, GREY, PAGE, add_caption, units_of
from run_statistics import binned, near_and_far, rank_correlation


MANY = 300  # subjects that dots would hide


def draw_panel(axes, document, signal, begin, end):
    """One dot a subject of the population or, of many, hexagons that count them: its signal against
    its mean influence over distances begin <= d < end."""
    upper, lower = binned(document, begin, end)
    x = document.signals[signal]
    shown = document.population & np.isfinite(upper) & np.isfinite(x)
    is_log = signal.startswith("attention")
    if shown.sum() > MANY:
        axes.hexbin(x[shown], upper[shown], xscale="log" if is_log else "linear", yscale="log",
                    gridsize=(20, 14), mincnt=1, cmap="Blues", vmin=-2, linewidths=0.2)
    else:
        unknown = lower == 0
        for who, colour, fill in ((document.is_sink, GREY, "none"), (shown, BLUE, "full")):
            for which, marker in ((~unknown, "o"), (unknown, "v")):
                dots = who & which & np.isfinite(upper)
                axes.plot(x[dots], upper[dots], marker, color=colour, fillstyle=fill,
                          markersize=2.6, markeredgewidth=0.6, alpha=0.75)
    value, low, high, n = rank_correlation(document, signal, begin, end)
    correlation = "ρ unknown" if np.isnan(value) else f"ρ = {value:.2f} [{low:.2f}, {high:.2f}]"
    axes.set_title(f"{correlation}, n = {n}", fontsize=6.5)
    if is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 3), numticks=5))
        axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.set_yscale("log")


def draw_signals(document):
    signals = ["entropy-before", "entropy-at", document.attention, "drift"]
    near, far = near_and_far(document)
    rows = [("near", near), ("far", far)] if near != far else [("", near)]
    figure, panels = plt.subplots(len(rows), len(signals), figsize=(PAGE, 0.6 + 1.65 * len(rows)),
                                  sharex="col", sharey="row", layout="constrained", squeeze=False)
    for row, (name, (begin, end)) in zip(panels, rows):
        for axes, signal in zip(row, signals):
            draw_panel(axes, document, signal, begin, end)
        row[0].set_ylabel(f"{name} influence (nats)\ndistances {begin} to {end - 1}".lstrip())
    for axes, signal in zip(panels[-1], signals):
        axes.set_xlabel(run_file.SIGNALS[signal])
    figure.suptitle(f"{document.name}, {document.model}: influence against signals", fontsize=8)
    dots = (f"Hexagons: darker, more of the {document.population.sum()} subjects"
            if document.population.sum() > MANY else
            "One dot a subject; open grey: sinks; triangles: at or under the noise floor")
    add_caption(figure, f"{dots}. ρ: Spearman's rank correlation without sinks, 95% bootstrap "
                f"interval over {units_of(document)}. Run: {document.conditions}.")
    return figure
