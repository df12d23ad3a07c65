#!/usr/bin/env python3
"""Draws the figures of run files, as PNG (300 dpi) and SVG, for each document and, where there are
several, for all of them pooled ("10_documents"):

    python3 analysis/plot.py run.h5... -o DIR

    DIR/DOCUMENT-distance   influence against distance, median and mean, for groups of subjects
    DIR/DOCUMENT-signals    each subject's influence, near and far, against its signals
    DIR/DOCUMENT-entropy    entropy by part of speech, where the run has them
    DIR/DOCUMENT-sets       influence of sets that were removed at once, where the run has any
    DIR/DOCUMENT-sentences  what each removed sentence does to every later one, where the run has any
    DIR/DOCUMENT-layers     attention and drift, layer by layer along the document
    DIR/DOCUMENT-map        every token's estimated influence, where there is a sketch
    DIR/DOCUMENT-kept       the slots that eviction policies keep, where the run has any
    DIR/chunks              of all documents, what sets do chunk by chunk, where the horizon has several
    DIR/budget              of all documents, the policies' KL against the share they keep
    DIR/overlap             of all documents, how far the policies keep the same slots
    DIR/kept-words          of all documents, which parts of speech the policies keep
"""

import argparse
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

import run_file
from figures.chunks import draw_chunks, panels_of, with_chunks
from figures.distance import draw_distance
from figures.entropy import draw_entropy
from figures.kept_words import draw_kept_words
from figures.layers import draw_layers
from figures.retention import draw_budget, draw_kept, draw_overlap
from figures.sentences import draw_sentences
from figures.sets import draw_sets
from figures.shadow_map import draw_map
from figures.signals import draw_signals
from figures.style import STYLE


def figures_of(document):
    """What can be drawn of the document: names and figures."""
    if len(document.kl):
        yield "distance", draw_distance(document)
        yield "signals", draw_signals(document)
    if (document.tokens.upos != "NONE").any():
        yield "entropy", draw_entropy(document)
    if document.sets:
        yield "sets", draw_sets(document)
    if document.sentences is not None and np.isfinite(document.sentences.kl).any():
        yield "sentences", draw_sentences(document)
    if document.tokens.by_layer:
        yield "layers", draw_layers(document)
    if document.sketch is not None:
        yield "map", draw_map(document)
    if document.retention:
        yield "kept", draw_kept(document)


def figures_of_all(documents):
    """What can be drawn of all documents together."""
    if panels_of(with_chunks(documents)):
        yield "chunks", draw_chunks(documents)
    if any(document.retention for document in documents):
        yield "budget", draw_budget(documents)
        yield "overlap", draw_overlap(documents)
        yield "kept-words", draw_kept_words(documents)


def documents_of(paths):
    """The documents of the run files, and behind them all of them pooled where there are several."""
    documents = [document for path in paths for document in run_file.documents(path)]
    measured = [document for document in documents if len(document.kl) or document.sets]
    return documents + ([run_file.pool(measured)] if len(measured) > 1 else [])


def save(figure, path):
    figure.savefig(path.with_name(path.name + ".png"))
    figure.savefig(path.with_name(path.name + ".svg"), metadata={"Date": None})
    plt.close(figure)
    print(f"{path} (.png, .svg)")


def main():
    parser = argparse.ArgumentParser(description="Draws the figures of run files, PNG and SVG.")
    parser.add_argument("runs", nargs="+", metavar="run", help="a run file")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder for the figures")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    with plt.rc_context(STYLE):
        documents = documents_of(arguments.runs)
        arguments.output.mkdir(parents=True, exist_ok=True)
        for document in documents:
            name = re.sub(r"[^\w.-]", "_", document.name)
            for kind, figure in figures_of(document):
                save(figure, arguments.output / f"{name}-{kind}")
        for kind, figure in figures_of_all(documents):
            save(figure, arguments.output / kind)


if __name__ == "__main__":
    main()
