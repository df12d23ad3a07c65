#!/usr/bin/env python3
"""Draws the figures of a run file, as PNG (300 dpi) and SVG, for each document:

    python3 analysis/plot.py run.h5 -o DIR

    DIR/DOCUMENT-distance   influence against distance, median and mean, for groups of subjects
    DIR/DOCUMENT-signals    each subject's influence, near and far, against its signals
    DIR/DOCUMENT-sets       influence of sets that were removed at once, where the run has any
    DIR/DOCUMENT-map        every token's estimated influence along the document, where there is a sketch
"""

import argparse
import itertools
import re
import sys
import textwrap
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
import run_file
from run_file import bins, binned, bootstrap, near_and_far, rank_correlation, sets_of, top

COLUMN = 3.5  # inches: one column of a printed page
PAGE = 7.2  # both columns
CAPTION = 5.5  # points

ATTENTION = {
    "attention-window": "received from the context's last queries",
    "attention-cumulative": "mean received from all later queries of the context",
}

# Okabe and Ito's palette, which colour-blind readers can tell apart; each group also has its marker.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00")
GREY = "#777777"
COLOURS = (VERMILION, BLUE, GREEN, ORANGE, SKY, BLACK, GREY)

STYLE = {
    "font.size": 7,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "svg.hashsalt": "longshadow",  # the same run gives the same SVG
    "savefig.dpi": 300,
}


def groups(document):
    """What the distance figure shows: name, members, colour, marker."""
    share = f"top {100 * run_file.TOP_SHARE:g}%"
    return [
        ("all but sinks", np.flatnonzero(~document.is_sink), BLACK, "o"),
        (f"{share} entropy before", top(document, "entropy-before"), VERMILION, "s"),
        (f"{share} entropy at", top(document, "entropy-at"), SKY, "^"),
        (f"{share} attention", top(document, document.attention), BLUE, "D"),
        ("sinks", np.flatnonzero(document.is_sink), GREY, "x"),
    ]


def influence_curve(document, members, statistic):
    """Rows of (distance, value, low, high, is_bound) for the bins that a member reaches; low and high
    are NaN where too few do. is_bound: values under the noise floor may make the truth more than 5%
    smaller."""
    rows = []
    for begin, end in bins(document, first_edge=1, per_octave=3):
        upper, lower = (values[members] for values in binned(document, begin, end))
        upper, lower = upper[np.isfinite(upper)], lower[np.isfinite(lower)]
        if upper.size == 0:
            continue
        value = statistic(upper, axis=0)
        centre = np.sqrt(begin * (end - 1.0))
        rows.append((centre, value, *bootstrap(upper, statistic),
                     statistic(lower, axis=0) < 0.95 * value))
    return np.array(rows, dtype=float).reshape(-1, 5)


def draw_curves(axes, document, statistic, name):
    axes.set_ylabel(f"{name} influence (nats)")
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    for place, (label, members, colour, marker) in enumerate(groups(document)):
        curve = influence_curve(document, members, statistic)
        if len(curve) == 0:
            continue
        distance, value, low, high, is_bound = curve.T
        distance = distance * 1.012 ** (place - 2)  # side by side where they would hide each other
        line = np.where(np.isnan(low), np.nan, value)  # where there are enough subjects to say
        axes.fill_between(distance, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(distance, line, color=colour, linestyle="-")
        axes.plot(distance, value, marker, color=colour, label=f"{label} (n = {len(members)})")
        bound = is_bound == 1
        axes.plot(distance[bound], value[bound], marker, color=colour, markerfacecolor="white")


def about_floor(floor):
    """What the caption says of the noise floor, nats."""
    if floor == 0:
        return "No noise floor: removing nothing changes nothing, to the last bit."
    return "Open marks: upper bounds, partly under the noise floor."


def is_far_below(floor, document):
    """Whether decades of nothing would lie between the noise floor and the curves."""
    means = [binned(document, *b)[0] for b in bins(document, first_edge=1, per_octave=3)]
    return floor < np.nanmin(means) / 10


def distance_panels(document):
    """A figure with one panel for medians and one for means, the noise floor in each as a line: among
    the curves, or in a strip of its own under a broken axis."""
    floor = document.noise_floor.max()
    broken = 0 < floor and is_far_below(floor, document)
    figure, rows = plt.subplots(4 if broken else 2, 1, figsize=(COLUMN, 5.6), sharex=True,
                                layout="constrained",
                                height_ratios=[7, 1, 7, 1] if broken else [1, 1])
    panels = rows[::2] if broken else rows
    for axes in rows:
        axes.set(xscale="log", yscale="log")
    for axes in rows[1::2] if broken else panels:
        if floor > 0:
            axes.axhline(floor, color=GREY, linestyle="--", linewidth=0.8, label="noise floor")
            axes.update_datalim([(document.distance.min(), floor / 2),  # not at the panel's edge
                                 (document.distance.max(), floor * 2)])
    if broken:
        figure.get_layout_engine().set(hspace=0, h_pad=0.02)
        for panel, strip in zip(panels, rows[1::2]):
            break_axis(panel, strip, floor)
    return figure, panels, rows[-1]


def break_axis(panel, strip, floor):
    strip.set_ylim(floor / 5, floor * 5)
    strip.set_yticks([floor], [f"{floor:.0e}".replace("e-0", "e-")])
    strip.minorticks_off()
    panel.spines["bottom"].set_visible(False)
    panel.tick_params(axis="x", which="both", bottom=False)
    for axes, y in ((panel, 0), (strip, 1)):
        axes.plot(0, y, marker=[(-1, -0.5), (1, 0.5)], markersize=5, color="black",
                  markeredgewidth=0.6, transform=axes.transAxes, clip_on=False)


def plain_log_ticks(axis, low, high):
    """Plain numbers, because distances are counts; more of them where the range is short."""
    steps = (1, 2, 5) if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def draw_distance(document):
    figure, panels, lowest = distance_panels(document)
    draw_curves(panels[0], document, np.median, "median")
    draw_curves(panels[1], document, np.mean, "mean")
    panels[0].set_title(f"{document.name}\n{document.model}")
    lowest.set_xlabel("distance from the removed token (tokens)")
    plain_log_ticks(lowest.xaxis, document.distance.min(), document.distance.max())
    keys = {label: handle for axes in (panels[0], lowest)
            for handle, label in zip(*axes.get_legend_handles_labels())}
    lowest.legend(keys.values(), keys.keys(), loc="upper center", bbox_to_anchor=(0.43, 0),
                  borderaxespad=4.2, ncols=2, frameon=False, columnspacing=1, handlelength=1.8)
    caption = (f"Attention: {ATTENTION[document.attention]}. Sinks: the first {run_file.SINKS} "
               "tokens. Bands: 95% bootstrap interval over subjects, each with its mean in a bin of "
               f"distances; marks alone: fewer than {run_file.FEWEST} subjects. "
               f"{about_floor(document.noise_floor.max())} "
               f"Run: {document.conditions}.")
    figure.supxlabel("\n".join(textwrap.wrap(caption, 84)), fontsize=CAPTION)
    return figure


def draw_panel(axes, document, signal, begin, end):
    """One dot a subject: its signal against its mean influence over distances begin <= d < end."""
    upper, lower = binned(document, begin, end)
    unknown = lower == 0
    for who, colour, filled in ((document.is_sink, GREY, "none"), (~document.is_sink, BLUE, "full")):
        for which, marker in ((~unknown, "o"), (unknown, "v")):
            dots = who & which & np.isfinite(upper)
            axes.plot(document.signals[signal][dots], upper[dots], marker, color=colour,
                      fillstyle=filled, markersize=2.6, markeredgewidth=0.6, alpha=0.75)
    value, low, high, n = rank_correlation(document, signal, begin, end)
    correlation = "ρ unknown" if np.isnan(value) else f"ρ = {value:.2f} [{low:.2f}, {high:.2f}]"
    axes.set_title(f"{correlation}, n = {n}", fontsize=6.5)
    if signal.startswith("attention"):
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
    figure.supxlabel("One dot a subject; open grey: sinks; triangles: at or under the noise floor. "
                     "ρ: Spearman's rank correlation without sinks, 95% bootstrap interval.\n"
                     f"{document.conditions}", fontsize=CAPTION)
    return figure


def draw_sets(document):
    """A curve for each group of sets, over the positions after the start, the first of them 1."""
    figure, axes = plt.subplots(figsize=(COLUMN, 3.2), layout="constrained")
    axes.set(xscale="log", yscale="log", ylabel="mean influence (nats)",
             xlabel="position after the start (tokens)")
    axes.set_title(f"{document.name}\n{document.model}")
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    looks = zip(itertools.cycle(COLOURS), itertools.cycle("os^Dvx"))
    for name, (colour, marker) in zip(document.sets, looks):
        sets = sets_of(document, name)
        sets.distance = sets.distance + 1
        position, value, low, high, _ = influence_curve(
            sets, np.arange(len(sets.kl)), np.mean).T
        axes.fill_between(position, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(position, value, marker=marker, color=colour, label=f"{name} (n = {len(sets.kl)})")
    plain_log_ticks(axes.xaxis, 1, document.noise_floor.size)
    axes.legend(loc="upper center", bbox_to_anchor=(0.43, 0), borderaxespad=4.2, frameon=False)
    caption = ("Each set was removed at once. Means over positions and sets; bands: 95% bootstrap "
               f"interval over sets, from {run_file.FEWEST} on. Run: {document.conditions}.")
    figure.supxlabel("\n".join(textwrap.wrap(caption, 84)), fontsize=CAPTION)
    return figure


def strips(values, width):
    """[B, T] -> [B, at most `width`]: the highest of neighbouring tokens, so that none is lost."""
    n_tokens = values.shape[1]
    begins = np.unique(np.linspace(0, n_tokens, min(width, n_tokens), endpoint=False).astype(int))
    return np.maximum.reduceat(values, begins, axis=1), np.append(begins, n_tokens)


def mark_highest(axes, sketch, row, count=5):
    """Names the tokens of the highest estimates, sinks apart, above the strip."""
    apart = max(1, len(sketch.text) // 9)  # their names must not meet
    marked = []
    for token in np.argsort(-row, kind="stable"):
        if len(marked) == count:
            break
        if token < run_file.SINKS or any(abs(token - other) < apart for other in marked):
            continue
        marked.append(token)
        text = sketch.text[token].strip() or repr(sketch.text[token])
        axes.annotate(f"{text} {token}", (token + 0.5, 1), (0, 2), va="bottom", ha="center",
                      xycoords=("data", "axes fraction"), textcoords="offset points",
                      fontsize=CAPTION, parse_math=False)


def draw_map(document):
    """One strip a bin, near to far: darker is more influential."""
    sketch = document.sketch
    values, edges = strips(sketch.fi, 1500)
    positive = sketch.fi[:, run_file.SINKS:]
    positive = positive[positive > 0]
    scale = matplotlib.colors.LogNorm(*np.quantile(positive, [0.02, 0.999])) if positive.size else None
    figure, rows = plt.subplots(len(values), 1, figsize=(PAGE, 0.75 + 0.55 * len(values)),
                                sharex=True, layout="constrained", squeeze=False)
    for axes, row, fi, (begin, end) in zip(rows[:, 0], values, sketch.fi, sketch.bins):
        image = axes.pcolormesh(edges, [0, 1], row[None], cmap="magma_r", norm=scale,
                                rasterized=True)
        axes.set_yticks([0.5], [f"{begin} to {end - 1}"])
        axes.tick_params(axis="y", length=0)
        mark_highest(axes, sketch, fi)
    rows[-1, 0].set_xlabel("token of the context; rows: positions after it, near to far")
    figure.colorbar(image, ax=rows[:, 0], label="influence (nats)", pad=0.01, aspect=12)
    figure.suptitle(f"{document.name}, {document.model}: the shadow of every token", fontsize=8)
    figure.supxlabel("Fisher sketch of KL(full || without the token), mean over the row's positions, "
                     "median standard error "
                     f"{100 * np.nanmedian(relative_error(sketch)):.0f}%. Named: the highest, the "
                     f"first {run_file.SINKS} tokens apart.\n{sketch.conditions}", fontsize=CAPTION)
    return figure


def relative_error(sketch):
    return np.divide(sketch.standard_error, sketch.fi, where=sketch.fi > 0,
                     out=np.full_like(sketch.fi, np.nan))


def figures(document):
    """What can be drawn of the document: names and figures."""
    if len(document.kl):
        yield "distance", draw_distance(document)
        yield "signals", draw_signals(document)
    if document.sets:
        yield "sets", draw_sets(document)
    if document.sketch is not None:
        yield "map", draw_map(document)


def save(figure, path):
    figure.savefig(path.with_name(path.name + ".png"))
    figure.savefig(path.with_name(path.name + ".svg"), metadata={"Date": None})
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description="Draws the figures of a run file, PNG and SVG.")
    parser.add_argument("run", help="the run file")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder for the figures")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    with plt.rc_context(STYLE):
        for document in run_file.documents(arguments.run):
            arguments.output.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"[^\w.-]", "_", document.name)
            for kind, figure in figures(document):
                save(figure, arguments.output / f"{name}-{kind}")
                print(f"{arguments.output / name}-{kind} (.png, .svg)")


if __name__ == "__main__":
    main()
