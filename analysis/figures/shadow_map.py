"""Every token's estimated influence along the document: the Fisher sketch as a map."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.style import CAPTION, PAGE, add_caption


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
    add_caption(figure, "Fisher sketch of KL(full || without the token), mean over the row's "
                f"positions, median standard error {100 * np.nanmedian(relative_error(sketch)):.0f}%. "
                f"Named: the highest, the first {run_file.SINKS} tokens apart. "
                f"Run: {sketch.conditions}.")
    return figure


def relative_error(sketch):
    return np.divide(sketch.standard_error, sketch.fi, where=sketch.fi > 0,
                     out=np.full_like(sketch.fi, np.nan))
