"""The house style: sizes, colours, axes and captions, the same in every figure."""

import textwrap

import matplotlib
import numpy as np

COLUMN = 3.5  # inches: one column of a printed page
PAGE = 7.2  # both columns
CAPTION = 5.5  # points

# Okabe and Ito's palette, which colour-blind readers can tell apart; a group also has its marker.
BLACK, ORANGE, SKY, GREEN, BLUE, VERMILION = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00")
GREY = "#777777"
COLOURS = (VERMILION, BLUE, GREEN, ORANGE, SKY, BLACK, GREY)
MARKERS = "os^Dvx"

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


def add_caption(figure, text):
    """Writes `text` under the figure, in lines as long as it is wide."""
    letters = round(24 * figure.get_figwidth())
    figure.supxlabel("\n".join(textwrap.wrap(text, letters)), fontsize=CAPTION)


def units_of(document):
    """What intervals are over, for the caption."""
    if document.text is None:
        return "subjects"
    n = len(set(document.text))
    return "subjects" if document.clusters(slice(None)) is None else f"{n} documents"


def add_legend_below(axes, handles=None, labels=None, ncols=1):
    """Puts the legend under the x axis and its label, where it hides no data."""
    if handles is None:
        handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.43, 0), borderaxespad=4.2,
                ncols=ncols, frameon=False, columnspacing=1, handlelength=1.8)


def draw_curve(axes, x, value, low, high, colour, marker, label, face=None):
    """A line through marks, with a band from `low` to `high`; marks alone where these are NaN."""
    line = np.where(np.isnan(low), np.nan, value)
    axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    axes.plot(x, line, color=colour, linestyle="-")
    axes.plot(x, value, marker, color=colour, markerfacecolor=face or colour, label=label)


def plain_log_ticks(axis, low, high, steps=(1, 2, 5)):
    """Plain numbers, because distances are counts; more of them where the range is short."""
    steps = steps if high > 10 * low else (1, 1.5, 2, 3, 4, 5, 7)
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(matplotlib.ticker.NullFormatter())
