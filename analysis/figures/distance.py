"""Influence against distance, median and mean, for groups of subjects."""

import matplotlib.pyplot as plt
import numpy as np

import run_file
import run_statistics
from figures.style import (BLACK, BLUE, COLUMN, GREEN, GREY, MARKERS, ORANGE, SKY, VERMILION,
                           add_caption, add_legend_below, draw_curve, plain_log_ticks, units_of)
from run_statistics import binned, bins, bootstrap, top

ATTENTION = {
    "attention-window": "received from the context's last queries",
    "attention-cumulative": "mean received from all later queries of the context",
}


def groups(document):
    """What the distance figure shows: name, members, colour, marker. Where the run chose tokens by
    their signals (each:SIGNAL:N), those; else the top of what it drew."""
    chosen = list(dict.fromkeys(name for name in document.group if name.startswith("each:")))
    if len(chosen) > 1:
        looks = zip((GREY, VERMILION, ORANGE, SKY, GREEN, BLUE, BLACK), MARKERS + "P")
        return [(spoken(name), np.flatnonzero((document.group == name) & ~document.is_sink), *look)
                for name, look in zip(chosen, looks)]
    share = f"top {100 * run_statistics.TOP_SHARE:g}%"
    return [
        ("all but sinks", np.flatnonzero(document.population), BLACK, "o"),
        (f"{share} entropy before", top(document, "entropy-before"), VERMILION, "s"),
        (f"{share} entropy at", top(document, "entropy-at"), SKY, "^"),
        (f"{share} attention", top(document, document.attention), BLUE, "D"),
        ("sinks", np.flatnonzero(document.is_sink), GREY, "x"),
    ]


def spoken(group):
    """What each:-entropy-before:64 chose: "low entropy before"."""
    signal = group.split(":")[1]
    if signal == "random":
        return signal
    rank = "low" if signal.startswith("-") else "high"
    name = signal.removeprefix("-").replace("-", " ")
    return f"{rank} {'attention' if name.startswith('attention') else name}"


def influence_curve(document, members, statistic, per_octave=3):
    """Rows of (distance, value, low, high, is_bound) for the bins that a member reaches; low and
    high are NaN where too few do. is_bound: values under the noise floor may make the truth more
    than 5% smaller."""
    rows = []
    for begin, end in bins(document, first_edge=1, per_octave=per_octave):
        upper, lower = binned(document, begin, end)
        reached = members[np.isfinite(upper[members])]
        if reached.size == 0:
            continue
        upper, lower = upper[reached], lower[reached]
        value = statistic(upper, axis=0)
        centre = np.sqrt(begin * (end - 1.0))
        rows.append((centre, value, *bootstrap(upper, statistic, document.clusters(reached)),
                     statistic(lower, axis=0) < 0.95 * value))
    return np.array(rows, dtype=float).reshape(-1, 5)


def draw_curves(axes, document, statistic, name):
    axes.set_ylabel(f"{name} influence (nats)")
    axes.grid(True, which="major", linewidth=0.3, alpha=0.5)
    for place, (label, members, colour, marker) in enumerate(groups(document)):
        curve = influence_curve(document, members, statistic)
        if len(curve) == 0:  # no subject, a sink for instance
            continue
        distance, value, low, high, is_bound = curve.T
        distance = distance * 1.012 ** (place - 2)  # side by side where they would hide each other
        draw_curve(axes, distance, value, low, high, colour, marker,
                   f"{label} (n = {len(members)})")
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
    """A figure with one panel for medians and one for means, the noise floor in each as a line:
    among the curves, or in a strip of its own under a broken axis."""
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


def draw_distance(document):
    figure, panels, lowest = distance_panels(document)
    draw_curves(panels[0], document, np.median, "median")
    draw_curves(panels[1], document, np.mean, "mean")
    panels[0].set_title(f"{document.name}\n{document.model}")
    lowest.set_xlabel("distance from the removed token (tokens)")
    plain_log_ticks(lowest.xaxis, document.distance.min(), document.distance.max())
    keys = {label: handle for axes in (panels[0], lowest)
            for handle, label in zip(*axes.get_legend_handles_labels())}
    add_legend_below(lowest, keys.values(), keys.keys(), ncols=2)
    add_caption(figure, f"Attention: {ATTENTION[document.attention]}. Sinks: the first "
                f"{run_file.SINKS} tokens. Bands: 95% bootstrap interval over {units_of(document)}; "
                "a subject counts once in a bin of distances, with its mean there; marks alone: "
                f"too few for an interval. {about_floor(document.noise_floor.max())} "
                f"Run: {document.conditions}.")
    return figure
