"""Entropy of the context's tokens by part of speech, both readings, as violins."""

import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.style import BLUE, GREY, PAGE, VERMILION, add_caption
from run_statistics import bootstrap

CONTENT = ("ADJ", "NOUN", "PROPN", "VERB")
FUNCTION = ("ADP", "AUX", "CCONJ", "DET", "PART", "PRON", "SCONJ")
NEITHER = ("ADV", "INTJ", "NUM", "PUNCT", "SYM", "X")
COLOUR = {**dict.fromkeys(CONTENT, VERMILION), **dict.fromkeys(FUNCTION, BLUE),
          **dict.fromkeys(NEITHER, GREY)}
FEWEST = 30  # tokens that a violin needs
READINGS = {"before the token: of what predicted it": "entropy_before",
            "at the token: of what it predicts": "entropy_at"}


def tagged(document):
    """[T] whether a token lies in a word, sinks apart, as the tables have it."""
    n_documents = document.tokens.document.max() + 1
    inside = document.tokens.upos != "NONE"
    for d in range(n_documents):
        first = np.flatnonzero(document.tokens.document == d)[:run_file.SINKS]
        inside[first] = False
    return inside


def draw_violins(axes, values, tags, clusters):
    """A violin a tag with its quartiles, and its mean with the interval in black."""
    for place, tag in enumerate(tags):
        own = values[tag]
        body = axes.violinplot(own, [place], widths=0.85, showextrema=False,
                               points=200)["bodies"][0]
        body.set(facecolor=COLOUR[tag], alpha=0.35, linewidth=0)
        low, median, high = np.quantile(own, [0.25, 0.5, 0.75])
        axes.vlines(place, low, high, color=COLOUR[tag], linewidth=3)
        axes.plot(place, median, "o", color="white", markeredgecolor=COLOUR[tag], markersize=3.5)
        low, high = bootstrap(own, np.mean, clusters[tag])
        axes.errorbar(place + 0.25, own.mean(), [[own.mean() - low], [high - own.mean()]],
                      fmt="_", color="black", markersize=5, linewidth=0.8)


def draw_entropy(document):
    """A panel for each reading; content words left, function words in the middle, others right."""
    tokens = document.tokens
    inside = tagged(document)
    n_documents = tokens.document.max() + 1
    tags = [tag for tag in CONTENT + FUNCTION + NEITHER
            if (inside & (tokens.upos == tag)).sum() >= FEWEST]
    figure, panels = plt.subplots(2, 1, figsize=(PAGE, 4.2), sharex=True, sharey=True,
                                  layout="constrained")
    for axes, (title, name) in zip(panels, READINGS.items()):
        entropy = getattr(tokens, name)
        members = {tag: inside & (tokens.upos == tag) & np.isfinite(entropy) for tag in tags}
        clusters = {tag: tokens.document[own] if n_documents >= run_file.FEWEST else None
                    for tag, own in members.items()}
        draw_violins(axes, {tag: entropy[own] for tag, own in members.items()}, tags, clusters)
        axes.set_title(title, fontsize=7.5, loc="left")
        axes.set(ylabel="entropy (nats)", ylim=(0, None))
    labels = [f"{tag}\n{(inside & (tokens.upos == tag)).sum()}" for tag in tags]
    panels[-1].set_xticks(range(len(tags)), labels)
    for label, tag in zip(panels[-1].get_xticklabels(), tags):
        label.set_color(COLOUR[tag])
    figure.suptitle(f"{document.name}, {document.model}: entropy by part of speech", fontsize=8)
    units = f"{n_documents} documents" if n_documents >= run_file.FEWEST else "tokens"
    add_caption(figure, "Orange: content words, blue: function words, grey: neither. Under each tag "
                f"the number of its tokens in the context; tags of fewer than {FEWEST} are left out. "
                "Thick bars: quartiles; circles: medians; black: mean and its 95% bootstrap "
                f"interval over {units}.")
    return figure
