"""Which parts of speech eviction policies keep: more or less of each than of all tokens."""

import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.entropy import COLOUR, CONTENT, FUNCTION, NEITHER, tagged
from figures.style import PAGE, add_caption
from run_statistics import bootstrap

FEWEST = 20  # tokens that a cell needs


def kept_shares(documents, name, tags):
    """[documents that have both]: share of the tags' slots that the policy at the budget keeps, over
    the share that it keeps of all words' slots."""
    ratios = []
    for document in documents:
        arms = [one for one in document.retention if one.name == name]
        words = tagged(document)
        own = words & np.isin(document.tokens.upos, tags)
        if arms and own.any():
            ratios.append(arms[0].kept[..., own].mean() / arms[0].kept[..., words].mean())
    return np.array(ratios)


def draw_kept_words(documents):
    """A row for each policy and budget, a column for each tag: how much more of its tokens' slots
    are kept than of words' on the whole."""
    documents = [document for document in documents if document.retention]
    names = list(dict.fromkeys(one.name for document in documents for one in document.retention))
    counts = {tag: sum((tagged(one) & (one.tokens.upos == tag)).sum() for one in documents)
              for tag in CONTENT + FUNCTION + NEITHER}
    tags = [tag for tag, count in counts.items() if count >= FEWEST]
    figure, axes = plt.subplots(figsize=(PAGE, 1.5 + 0.2 * len(names)), layout="constrained")
    log_ratio = np.full((len(names), len(tags)), np.nan)
    for row, name in enumerate(names):
        for column, tag in enumerate(tags):
            ratios = kept_shares(documents, name, [tag])
            if ratios.size == 0:
                continue
            ratio = ratios.mean()
            log_ratio[row, column] = np.log2(ratio) if ratio > 0 else -np.inf
            low, high = bootstrap(ratios, np.mean)
            sure = low > 1 or high < 1
            axes.text(column, row, f"{ratio:.2f}", ha="center", va="center", fontsize=5.5,
                      weight="bold" if sure else "normal",
                      color="white" if abs(log_ratio[row, column]) > 0.7 else "black")
    image = axes.imshow(np.clip(log_ratio, -1, 1), cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
    bar = figure.colorbar(image, ax=axes, pad=0.01, ticks=[-1, 0, 1], label="kept, relative to all")
    bar.ax.set_yticklabels(["half", "as all", "twice"])
    axes.set_xticks(range(len(tags)), [f"{tag}\n{counts[tag]}" for tag in tags])
    for label, tag in zip(axes.get_xticklabels(), tags):
        label.set_color(COLOUR[tag])
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(length=0)
    axes.set_title(f"{documents[0].model}: what policies keep, by part of speech")
    add_caption(figure, f"n = {len(documents)} documents; under each tag its tokens (at least "
                f"{FEWEST}). Numbers: the share of the tag's cache slots that is kept, over that of "
                "all words, mean over documents, layers and heads. Bold: the 95% bootstrap interval "
                f"over documents, from {run_file.FEWEST} on, excludes 1. Orange tags: content words, "
                "blue: function words.")
    return figure
