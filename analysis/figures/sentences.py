"""Sentence by sentence: what the removal of each does to the later ones."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from figures.style import CAPTION, PAGE, add_caption

NAMED = 10  # rows that have their first words
LETTERS = 34  # of them


def first_words(text):
    """As many whole words as LETTERS hold."""
    words = " ".join(text.split())
    if len(words) <= LETTERS:
        return words
    return words[:LETTERS].rsplit(" ", 1)[0] + " …"


def strongest(sentences, apart):
    """Rows of the highest totals that lie at least `apart` rows from one another."""
    chosen = []
    for row in np.argsort(-sentences.total, kind="stable"):  # NaN last
        far = abs(sentences.number[row] - sentences.number[chosen]) >= apart
        if len(chosen) < NAMED and far.all() and np.isfinite(sentences.total[row]):
            chosen.append(row)
    return chosen


def matrix_of(sentences):
    """Rows for all sentences from the first to the last removed one, columns for those from the first
    to the last measured one: the values and the numbers of the first row and column."""
    first_row = sentences.number.min()
    columns = np.flatnonzero(np.isfinite(sentences.kl).any(axis=0))
    values = np.full((sentences.number.max() + 1 - first_row, columns[-1] + 1 - columns[0]), np.nan)
    values[sentences.number - first_row] = sentences.kl[:, columns[0]:columns[-1] + 1]
    return values, first_row, columns[0]


def colours_of(values):
    positive = values[values > 0]
    if not positive.size:
        return matplotlib.colors.Normalize(0, 1)
    low, high = np.quantile(positive, 0.02), positive.max()
    return matplotlib.colors.LogNorm(low, max(high, 1.01 * low), clip=True)


def draw_sentences(document):
    sentences = document.sentences
    values, first_row, first_column = matrix_of(sentences)
    n_rows, n_columns = values.shape
    height = min(max(1.6, 4.6 * n_rows / n_columns), 6.5)
    figure, axes = plt.subplots(figsize=(PAGE, height + 1), layout="constrained")
    scale = colours_of(values)
    image = axes.pcolormesh(np.arange(n_columns + 1) + first_column - 0.5,
                            np.arange(n_rows + 1) + first_row - 0.5,
                            np.maximum(values, scale.vmin), cmap="magma_r", norm=scale,
                            rasterized=True)
    axes.invert_yaxis()
    axes.set(xlabel="later sentence", ylabel="removed sentence")
    named = strongest(sentences, apart=int(np.ceil(n_rows * 0.08 / height)))
    axes.set_yticks(sentences.number[named],
                    [f"{first_words(sentences.text[row])}  {sentences.number[row]}" for row in named],
                    fontsize=CAPTION, parse_math=False)
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    figure.colorbar(image, ax=axes, label="mean influence (nats)", pad=0.01, aspect=30)
    figure.suptitle(f"{document.name}, {document.model}: what a sentence does to later ones",
                    fontsize=8)
    add_caption(figure, "Mean KL(full || without the row's sentence) over the tokens of the column's, "
                "sentences counted from 0; white: not within the horizon as a whole. Named: the rows "
                "of the highest sums over the horizon. No intervals: one value a pair. "
                f"Run: {document.conditions}.")
    return figure
