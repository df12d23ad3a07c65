"""Layers x position: where in the model a token is attended, settled and influential."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.shadow_map import strips
from figures.style import PAGE, add_caption

WIDTH = 1500  # columns that a printed page can show


def log_scale(values):
    """Colours over the bulk of the positive values, sinks apart."""
    positive = values[:, run_file.SINKS:]
    positive = positive[positive > 0]
    if positive.size == 0:
        return None
    low, high = np.quantile(positive, [0.05, 0.999])
    return matplotlib.colors.LogNorm(low, max(high, 1.01 * low))


def maps_of(document):
    """Title, values [L, T], colours, and how to scale them."""
    layers = document.tokens.by_layer
    attention = layers[document.attention]
    yield run_file.SIGNALS[document.attention], attention, "magma_r", log_scale(attention)
    yield run_file.SIGNALS["drift"], layers["drift"], "viridis_r", matplotlib.colors.Normalize(0, 1)
    sketch = document.sketch
    if sketch is not None and sketch.fi_layer is not None:
        for (begin, end), fi in zip(sketch.bins, sketch.fi_layer):
            yield (f"influence (nats), {begin} to {end - 1} after", fi, "magma_r", log_scale(fi))


def draw_layers(document):
    maps = list(maps_of(document))
    figure, rows = plt.subplots(len(maps), 1, figsize=(PAGE, 0.6 + 1.5 * len(maps)), sharex=True,
                                layout="constrained")
    for axes, (title, values, colours, scale) in zip(rows, maps):
        pooled, edges = strips(values, WIDTH)
        image = axes.pcolormesh(edges, np.arange(len(values) + 1), pooled, cmap=colours, norm=scale,
                                rasterized=True)
        axes.set(ylabel="layer")
        axes.set_title(title, fontsize=7, loc="left")
        figure.colorbar(image, ax=axes, pad=0.01, aspect=12)
    rows[-1].set_xlabel("token of the context")
    figure.suptitle(f"{document.name}, {document.model}: layers and positions", fontsize=8)
    add_caption(figure, f"n = {values.shape[1]} tokens, {values.shape[0]} layers, the first at the "
                "bottom; attention is the mean over heads. A column shows the highest of the tokens "
                f"it stands for. Colours are scaled without the first {run_file.SINKS} tokens. "
                "No intervals: one value a token and layer.")
    return figure
