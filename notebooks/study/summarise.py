#!/usr/bin/env python3
"""Draws the figures of results.md from the runs of run.sh, one folder of them a model, and fills its
tables in:

    python3 notebooks/study/summarise.py SmolLM2-135M-Instruct=OUTPUT Qwen2.5-Coder-0.5B=OUTPUT_2
"""

import re
import sys
from pathlib import Path

import matplotlib

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "analysis"), str(HERE.parent / "common")]
import measured
import pictures
import tables
from claims import claims_table
from marks import fill
from studies import read_studies

TABLES = {"documents": (), "means": ("chunks",), "places": ("chunks",), "comparisons": ("chunks",), "exactness": ("chunks",),
          "matched": ("chunks", "matched"),
          "policies": ("kept",), "rivals": ("kept",), "kept": ("kept",),
          "single_tokens": ("lag", "end"), "distances": ("lag",), "entropies": ("chunks",),
          "partials": ("lag",)}  # and the kinds of runs that they need
CAPTIONS = {"chunks": "Influence of sets, chunk by chunk",
            "distance": "Influence against distance for six kinds of tokens",
            "entropy": "Entropy by part of speech, both readings",
            "signals": "Influence against signals",
            "kept": "What policies keep, by part of speech"}
POOLED = r"^(all \d+ documents|KL\(full)"  # where analyze's text speaks of all documents together


def by_model(studies, name):
    """The table of each model that has it, under the model's name where there are several."""
    texts = [(study.model, getattr(tables, name)(study)) for study in studies
             if study.has(*TABLES[name])]
    if len(studies) == 1 and texts:
        return texts[0][1]
    return "\n\n".join(f"**{model}**\n\n{text}" for model, text in texts) or "Not measured."


def write_texts(study, folder):
    """Writes what analyze says of all documents together; links to the files."""
    links = []
    for kind in filter(study.has, measured.ANALYZED):
        text = (study.folder / f"{kind}.txt").read_text()
        (folder / f"{kind}.txt").write_text(text[re.search(POOLED, text, re.M).start():])
        links.append(f"[{kind}.txt]({study.model}/{kind}.txt)")
    return f"- {study.model}: {', '.join(links)}"


def main():
    studies = read_studies(sys.argv[1:], measured.read)
    matplotlib.use("Agg")
    page = fill((HERE / "results.md").read_text(), "claims", claims_table(studies))
    for name in TABLES:
        page = fill(page, name, by_model(studies, name))
    shown, texts = {name: [] for name in CAPTIONS}, []
    for study in studies:
        folder = HERE / study.model
        folder.mkdir(exist_ok=True)
        for name in pictures.draw(study, folder):
            shown[name].append(f"![{CAPTIONS[name]}, {study.model}]({study.model}/{name}.png)")
        texts.append(write_texts(study, folder))
    for name, links in shown.items():
        page = fill(page, f"picture: {name}", "\n\n".join(links))
    (HERE / "results.md").write_text(fill(page, "texts", "\n".join(texts)))


if __name__ == "__main__":
    main()
